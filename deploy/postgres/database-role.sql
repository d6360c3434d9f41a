-- Makes smart_filter, the role of the service, an owner of its database and nothing more.
--
-- PostgreSQL's container runs this when it creates its data; there smart_filter is the first
-- superuser. It becomes `postgres`, without a password: only processes of the container can be it.
-- A new smart_filter has the former password, and owns the database. Where smart_filter is no
-- superuser, nothing happens.
DO $$
BEGIN
    IF (SELECT rolsuper FROM pg_roles WHERE rolname = 'smart_filter') IS NOT TRUE THEN
        RETURN;
    END IF;
    -- No session can rename its own role.
    CREATE ROLE smart_filter_setup SUPERUSER;
    SET SESSION AUTHORIZATION smart_filter_setup;
    ALTER ROLE smart_filter RENAME TO postgres;
    EXECUTE format(
        'CREATE ROLE smart_filter LOGIN PASSWORD %L',
        (SELECT rolpassword FROM pg_authid WHERE rolname = 'postgres')
    );
    ALTER ROLE postgres PASSWORD NULL;
    EXECUTE format('ALTER DATABASE %I OWNER TO smart_filter', current_database());
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    RESET SESSION AUTHORIZATION;
    DROP ROLE smart_filter_setup;
END
$$;
