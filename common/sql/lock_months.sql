-- Keep everybody else from sealing, opening, making or dropping a month until the transaction ends.
--
-- one row: locked
SELECT pg_advisory_xact_lock(hashtextextended('watchledger.months', 0)) IS NOT NULL AS locked
