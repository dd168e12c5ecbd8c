-- Take a lock by its name for the length of the transaction, unless somebody else has it.
--
-- :name  text
-- one row: is_ours
SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0)) AS is_ours
