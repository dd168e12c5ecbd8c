-- The roles whose name begins so, and their rights on tables, columns and routines.
--
-- :prefix  text
-- many rows, one with nulls for a role without rights: role, target (a table, or a routine with its parameters'
--   types), place, column_name, privilege
WITH role AS (
    SELECT
        r.oid,
        r.rolname::text AS name
    FROM pg_roles AS r
    WHERE starts_with(r.rolname::text, :prefix)
),

granted AS (
    SELECT
        c.oid::regclass::text AS target,
        0 AS place,
        '' AS column_name,
        acl.grantee,
        acl.privilege_type AS privilege
    FROM pg_class AS c
    CROSS JOIN LATERAL aclexplode(c.relacl) AS acl
    UNION ALL
    SELECT
        a.attrelid::regclass::text AS target,
        a.attnum AS place,
        quote_ident(a.attname) AS column_name,
        acl.grantee,
        acl.privilege_type AS privilege
    FROM pg_attribute AS a
    CROSS JOIN LATERAL aclexplode(a.attacl) AS acl
    WHERE NOT a.attisdropped
    UNION ALL
    SELECT
        p.oid::regprocedure::text AS target,
        0 AS place,
        '' AS column_name,
        acl.grantee,
        acl.privilege_type AS privilege
    FROM pg_proc AS p
    CROSS JOIN LATERAL aclexplode(p.proacl) AS acl
)

SELECT
    role.name AS role,
    granted.target,
    granted.place,
    granted.column_name,
    granted.privilege
FROM role
LEFT JOIN granted ON role.oid = granted.grantee
ORDER BY role, target, place, privilege
