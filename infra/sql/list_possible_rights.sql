-- The rights that there could be: on the columns of the tables, on the whole of them, and on the routines that not
-- everybody may call. Tables are those that are written to by name: months are reached through their parents.
--
-- many rows: target, place, column_name, privilege
WITH named AS (
    SELECT c.oid
    FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
        AND c.relname !~ '_[0-9]{6}$' AND c.relname <> 'alembic_version'
)

SELECT
    a.attrelid::regclass::text AS target,
    a.attnum::int AS place,
    quote_ident(a.attname) AS column_name,
    p.privilege
FROM named
INNER JOIN pg_attribute AS a ON named.oid = a.attrelid AND a.attnum > 0 AND NOT a.attisdropped
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE']) AS p (privilege)
UNION ALL
SELECT
    named.oid::regclass::text AS target,
    0 AS place,
    '' AS column_name,
    'DELETE' AS privilege
FROM named
UNION ALL
SELECT
    p.oid::regprocedure::text AS target,
    0 AS place,
    '' AS column_name,
    'EXECUTE' AS privilege
FROM pg_proc AS p
WHERE p.pronamespace = 'public'::regnamespace AND NOT has_function_privilege('public', p.oid, 'EXECUTE')
ORDER BY target, place, privilege
