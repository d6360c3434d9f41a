-- Makes a role for API, workers and sender, or sets its password; `migrate` gives them their rights.
--
-- For psql as a superuser, in PostgreSQL's container. The container runs it when it creates its data,
-- before database-role.sql by its name. Names and passwords are those of the secrets database_url_*;
-- a URL of another role changes nothing. It also lets only superusers make large objects, which lie
-- outside all tables. It can be repeated.
\set urls `cat /run/secrets/database_url_api /run/secrets/database_url_worker /run/secrets/database_url_sender`
SELECT format(
    '%s ROLE %I LOGIN PASSWORD %L',
    CASE WHEN EXISTS (SELECT FROM pg_roles WHERE rolname = login[1]) THEN 'ALTER' ELSE 'CREATE' END,
    login[1], login[2]
)
FROM regexp_matches(:'urls', '//(smart_filter_(?:api|worker|sender)):([^@]+)@', 'g') AS login
\gexec
REVOKE EXECUTE ON FUNCTION lo_creat, lo_create, lo_from_bytea FROM PUBLIC;
