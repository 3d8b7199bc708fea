"""The texts with which `introspect` asks pg_catalog; each runs on PostgreSQL 14 to 18, without any special right."""

from __future__ import annotations

# Objects with an OID from here on were made by users (FirstNormalObjectId in access/transam.h).
_IS_USER_SCHEMA = """n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
    AND n.nspname !~ '^pg_(toast_)?temp_'"""

CLUSTER = "SELECT system_identifier FROM pg_catalog.pg_control_system()"

SESSION = """
SELECT pg_catalog.current_setting('server_version_num')::pg_catalog.int4 AS server_version,
       (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()) AS database,
       pg_catalog.current_schemas(false)::pg_catalog.text[] AS search_path,
       ARRAY(SELECT n.nspname::pg_catalog.text FROM pg_catalog.pg_namespace AS n
             WHERE n.nspname !~ '^pg_(toast_)?temp_') AS schemas,
       ARRAY(SELECT DISTINCT p.proname::pg_catalog.text FROM pg_catalog.pg_proc AS p) AS function_names
"""

_RELATIONS = f"""
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind::pg_catalog.text AS kind, c.relowner AS owner,
       c.relkind = 'v' AND COALESCE(c.reloptions && ARRAY['security_invoker=true', 'security_invoker=on',
           'security_invoker=yes', 'security_invoker=1'], false) AS is_invoker,
       c.relkind <> 'v' OR pg_catalog.has_any_column_privilege(c.oid, 'SELECT') AS is_selectable
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND {_IS_USER_SCHEMA}
ORDER BY c.oid
"""

# A domain over a domain ends at the last one's base type and modifier, as in getBaseTypeAndTypmod.
_COLUMNS = f"""
WITH RECURSIVE chain AS (
    SELECT t.oid AS domain, t.typbasetype AS base, t.typtypmod AS modifier
    FROM pg_catalog.pg_type AS t WHERE t.typtype = 'd'
    UNION ALL
    SELECT d.domain, t.typbasetype, t.typtypmod
    FROM chain AS d JOIN pg_catalog.pg_type AS t ON t.oid = d.base WHERE t.typtype = 'd'
), domains AS (
    SELECT d.domain, d.base, d.modifier FROM chain AS d
    JOIN pg_catalog.pg_type AS t ON t.oid = d.base WHERE t.typtype <> 'd'
)
SELECT a.attrelid AS relation, a.attname AS name, a.attnum, COALESCE(d.base, a.atttypid) AS type_oid,
       pg_catalog.format_type(COALESCE(d.base, a.atttypid), COALESCE(d.modifier, a.atttypmod)) AS type_name,
       a.attnotnull AS is_not_null, COALESCE(d.domain, 0::pg_catalog.oid) AS domain_oid,
       a.attgenerated <> '' AS is_generated, t.typtype = 'e' AS is_enum,
       a.attcollation NOT IN (0, 100, 950) AS has_own_collation -- none, the database's, C
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN domains AS d ON d.domain = a.atttypid
JOIN pg_catalog.pg_type AS t ON t.oid = COALESCE(d.base, a.atttypid)
WHERE a.attnum > 0 AND NOT a.attisdropped
  AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND {_IS_USER_SCHEMA}
ORDER BY a.attrelid, a.attnum
"""

# The dependency belongs to the default's pg_attrdef row, or to the column itself on older minor versions.
_GENERATED = """
SELECT a.attrelid AS relation, a.attnum, d.refobjsubid AS reads,
       pg_catalog.pg_get_expr(f.adbin, f.adrelid) AS expression
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_attrdef AS f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  AND d.refobjid = a.attrelid AND d.refobjsubid > 0 AND d.refobjsubid <> a.attnum
  AND ((d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = f.oid)
    OR (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
        AND d.objid = a.attrelid AND d.objsubid = a.attnum))
WHERE a.attgenerated <> '' AND a.attrelid >= 16384
ORDER BY a.attrelid, a.attnum, d.refobjsubid
"""

# GROUP BY takes a functional dependency only from a primary key that isn't deferrable.
_KEYS = """
SELECT k.conrelid AS relation, k.conkey::pg_catalog.int4[] AS attnums FROM pg_catalog.pg_constraint AS k
WHERE k.contype = 'p' AND NOT k.condeferrable AND k.conrelid >= 16384
"""

_INHERITS = """
SELECT i.inhrelid AS child, i.inhparent AS parent FROM pg_catalog.pg_inherits AS i ORDER BY i.inhseqno, 1
"""

_INDEXES = """
SELECT i.indrelid AS relation, i.indexrelid AS index, x.relname AS name
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS x ON x.oid = i.indexrelid
WHERE i.indrelid >= 16384 ORDER BY 1, 2
"""

_REFERENCES = """
SELECT DISTINCT k.confrelid AS relation, k.conrelid AS referencing FROM pg_catalog.pg_constraint AS k
WHERE k.contype = 'f' AND k.confrelid >= 16384 AND k.conrelid <> k.confrelid ORDER BY 1, 2
"""

_FOREIGN_KEYS = """
SELECT k.conrelid AS relation, k.confrelid AS referenced, k.conkey::pg_catalog.int4[] AS attnums,
       k.confkey::pg_catalog.int4[] AS referenced_attnums
FROM pg_catalog.pg_constraint AS k
WHERE k.contype = 'f' AND k.convalidated AND k.conrelid >= 16384 ORDER BY 1, 2, k.conname
"""

_OWNED = """
SELECT d.objid AS sequence, d.refobjid AS relation, d.refobjsubid AS attnum
FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid >= 16384 ORDER BY 1
"""

# A body that was parsed when it was made holds OIDs. pg_temp comes first unless the path names it.
_SOURCES = """
SELECT pg_catalog.lower(p.prosrc) AS source
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal') AND p.prosqlbody IS NULL
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.unnest(p.proconfig) AS s(setting)
                  WHERE s.setting ~ '^search_path=.*pg_temp')
"""

_FUNCTIONS = """
SELECT DISTINCT p.proname AS name, n.nspname AS schema
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.oid >= 16384 AND n.nspname !~ '^pg_(toast_)?temp_'
"""

_OPERATORS = """
SELECT DISTINCT o.oprname AS name FROM pg_catalog.pg_operator AS o
JOIN pg_catalog.pg_proc AS p ON p.oid = o.oprcode JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE o.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')
"""

# Every table has a row type and an array of it: those are no names a user chose for a type.
_TYPES = """
SELECT DISTINCT t.typname AS name FROM pg_catalog.pg_type AS t
LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem AND t.typcategory = 'A'
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = COALESCE(NULLIF(t.typrelid, 0), e.typrelid)
WHERE t.oid >= 16384 AND (c.oid IS NULL OR c.relkind = 'c')
"""

_TYPE_NAMES = """
SELECT t.oid AS type, n.nspname AS schema, t.typname AS name
FROM pg_catalog.pg_type AS t JOIN pg_catalog.pg_namespace AS n ON n.oid = t.typnamespace
WHERE t.oid >= 16384 AND n.nspname !~ '^pg_(toast_)?temp_' ORDER BY 1
"""

_CASTS = """
SELECT DISTINCT pg_catalog.unnest(ARRAY[t.oid, t.typarray]) AS type
FROM pg_catalog.pg_cast AS c JOIN pg_catalog.pg_type AS t ON t.oid = c.castsource
WHERE c.castsource >= 16384 AND c.casttarget < 16384 AND c.castcontext = 'i'
"""

# A cast from or to a type, a domain's CHECK: code that no call in a statement's text names.
_TYPE_FUNCTIONS = """
SELECT DISTINCT t.typname AS type, n.nspname AS schema, p.proname AS name
FROM (SELECT pg_catalog.unnest(ARRAY[c.castsource, c.casttarget]) AS type, c.castfunc AS function
      FROM pg_catalog.pg_cast AS c
      UNION ALL
      SELECT k.contypid, d.refobjid
      FROM pg_catalog.pg_constraint AS k JOIN pg_catalog.pg_depend AS d
        ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.objid = k.oid
       AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
      WHERE k.contypid <> 0) AS u
JOIN pg_catalog.pg_type AS t ON t.oid = u.type JOIN pg_catalog.pg_proc AS p ON p.oid = u.function
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE t.oid >= 16384 AND p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal')
"""

# What views and materialized views read, by OID; rules of other kinds are no reading.
_READS = """
SELECT DISTINCT r.ev_class AS view, d.refobjid AS reads
FROM pg_catalog.pg_rewrite AS r JOIN pg_catalog.pg_depend AS d
  ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
 AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> r.ev_class
WHERE r.ev_type = '1' AND r.ev_class >= 16384 AND d.refobjid >= 16384 ORDER BY 1, 2
"""

# A view is read with its owner's rights, its expansion with this login's. Row security spares superusers, roles with
# BYPASSRLS and, unless it is forced, owners (check_enable_rls); its policies count for the role that is checked.
_ACCESS = """
WITH owners AS (
    SELECT DISTINCT c.relowner AS role FROM pg_catalog.pg_class AS c WHERE c.relkind = 'v' AND c.oid >= 16384
), bases AS (
    SELECT DISTINCT d.refobjid AS oid FROM pg_catalog.pg_depend AS d
    WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
      AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid >= 16384
)
SELECT o.role, c.oid AS relation,
       pg_catalog.has_any_column_privilege(o.role, c.oid, 'SELECT') AS is_owner_allowed,
       pg_catalog.has_any_column_privilege(me.oid, c.oid, 'SELECT')
           AND pg_catalog.has_schema_privilege(me.oid, c.relnamespace, 'USAGE') AS is_login_allowed,
       c.relrowsecurity AND NOT (
           (r.rolsuper OR r.rolbypassrls
            OR NOT c.relforcerowsecurity AND pg_catalog.pg_has_role(o.role, c.relowner, 'USAGE'))
           AND (me.rolsuper OR me.rolbypassrls
            OR NOT c.relforcerowsecurity AND pg_catalog.pg_has_role(me.oid, c.relowner, 'USAGE'))) AS is_row_different
FROM owners AS o CROSS JOIN bases AS b
JOIN pg_catalog.pg_class AS c ON c.oid = b.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
JOIN pg_catalog.pg_roles AS r ON r.oid = o.role
JOIN pg_catalog.pg_roles AS me ON me.rolname = CURRENT_USER AND me.oid <> o.role
ORDER BY 1, 2
"""

VIEWS = """
SELECT v.oid, pg_catalog.pg_get_viewdef(v.oid) AS definition
FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS v(oid)
"""

# Whatever is made, dropped or altered changes one of these: each row's xmin is the transaction that wrote it. Sums,
# because transactions commit in another order than they begin. VACUUM and ANALYZE write in place and change nothing.
_ROWS = "pg_catalog.sum({0}.xmin::pg_catalog.text::pg_catalog.int8 % 1000000007 + {0}.oid::pg_catalog.int8)"
CHANGES = f"""
SELECT (SELECT {_ROWS.format("c")} FROM pg_catalog.pg_class AS c
        WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't') AS relations,
       -- A column that is renamed leaves its relation's row as it is.
       (SELECT pg_catalog.sum(a.xmin::pg_catalog.text::pg_catalog.int8 % 1000000007 + a.attrelid::pg_catalog.int8)
        FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
        WHERE a.attnum > 0 AND c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
              AND c.relpersistence <> 't') AS columns,
       (SELECT {_ROWS.format("r")} FROM pg_catalog.pg_rewrite AS r WHERE r.oid >= 16384) AS views,
       (SELECT {_ROWS.format("p")} FROM pg_catalog.pg_proc AS p WHERE p.oid >= 16384) AS functions,
       (SELECT {_ROWS.format("n")} FROM pg_catalog.pg_namespace AS n
        WHERE n.nspname !~ '^pg_(toast_)?temp_') AS schemas,
       (SELECT pg_catalog.sum(i.inhrelid::pg_catalog.int8 * i.inhparent::pg_catalog.int8)
        FROM pg_catalog.pg_inherits AS i) AS parents
"""

FUNCTIONS_CODE = """
SELECT n.nspname AS schema, p.proname AS name, pg_catalog.lower(p.prosrc) AS source,
       ARRAY(SELECT d.refobjid FROM pg_catalog.pg_depend AS d
             WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid
               AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
             UNION SELECT t.typrelid FROM pg_catalog.pg_type AS t
             WHERE t.oid = p.prorettype AND t.typrelid <> 0) AS reads
FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE p.oid >= 16384 AND l.lanname NOT IN ('c', 'internal') ORDER BY 1, 2, p.oid
"""

TRIGGERS = """
SELECT t.tgrelid AS relation, t.tgname AS name, n.nspname || '.' || p.proname AS runs
FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE NOT t.tgisinternal
UNION ALL
SELECT r.ev_class, r.rulename, '' FROM pg_catalog.pg_rewrite AS r WHERE r.ev_type <> '1' AND r.ev_class >= 16384
ORDER BY 1, 2
"""

PARTS = {
    "relations": _RELATIONS,
    "columns": _COLUMNS,
    "generated": _GENERATED,
    "keys": _KEYS,
    "inherits": _INHERITS,
    "indexes": _INDEXES,
    "references": _REFERENCES,
    "foreign_keys": _FOREIGN_KEYS,
    "owned": _OWNED,
    "reads": _READS,
    "access": _ACCESS,
    "sources": _SOURCES,
    "functions": _FUNCTIONS,
    "operators": _OPERATORS,
    "types": _TYPES,
    "casts": _CASTS,
    "type_functions": _TYPE_FUNCTIONS,
    "type_names": _TYPE_NAMES,
}
