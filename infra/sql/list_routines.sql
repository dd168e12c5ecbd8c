-- The routines of this database, and how each is called with arguments that nothing is found by.
--
-- No nulls: PostgreSQL sees that there is nothing to be found then, and does not ask who may look for it.
--
-- many rows: name, call (a statement), definition, is_owners (whether it runs with its owner's rights)
SELECT
    p.proname::text AS name,
    format('SELECT FROM %I(%s)', p.proname, (
        SELECT string_agg(
            format('%L::%s', CASE
                WHEN t.type = 'uuid'::regtype THEN '00000000-0000-0000-0000-000000000000'
                WHEN t.type IN ('int'::regtype, 'bigint'::regtype, 'numeric'::regtype, 'float8'::regtype) THEN '0'
                WHEN t.type = 'boolean'::regtype THEN 'false'
                WHEN t.type IN ('date'::regtype, 'timestamptz'::regtype) THEN '2000-01-01'
                WHEN t.type IN ('int4multirange'::regtype, 'jsonb'::regtype) THEN '{}'
                WHEN t.type = 'text'::regtype THEN ''
            END, format_type(t.type, NULL)), ', ' ORDER BY t.place
        )
        FROM unnest(p.proargtypes) WITH ORDINALITY AS t (type, place)
    )) AS call,
    pg_get_functiondef(p.oid) AS definition,
    p.prosecdef AS is_owners
FROM pg_proc AS p
WHERE p.pronamespace = 'public'::regnamespace AND NOT EXISTS (
    SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e'
)
ORDER BY name
