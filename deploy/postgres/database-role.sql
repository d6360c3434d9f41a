-- Makes smart_filter, the role of the service, an owner of its database and nothing more.
--
-- PostgreSQL's container runs this when it creates its data; there smart_filter is the first
-- superuser. It becomes `postgres`, without a password: only processes of the container can be it.
-- A new smart_filter has the former password, and owns the database and what is in it. Where
-- smart_filter is no superuser, nothing happens. For data of 0.1.0 see docs/deploying.md.
DO $$
DECLARE
    change text;
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
    FOR change IN
        SELECT format('ALTER TABLE %s OWNER TO smart_filter', oid::regclass) FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO smart_filter', oid::regprocedure) FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
        UNION ALL
        SELECT format('ALTER DATABASE %I OWNER TO smart_filter', current_database())
        UNION ALL
        SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database())
    LOOP
        EXECUTE change;
    END LOOP;
    RESET SESSION AUTHORIZATION;
    DROP ROLE smart_filter_setup;
END
$$;
