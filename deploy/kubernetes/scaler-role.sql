-- The role of KEDA: it can count stages, and sees nothing of jobs, tenants or people.
--
-- Run by the owner of the tables after the first installation, and again after upgrades: it can be
-- repeated. The role has no password; give it one with \password smart_filter_scaler in psql.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'smart_filter_scaler') THEN
        CREATE ROLE smart_filter_scaler LOGIN;
    END IF;
END
$$;

ALTER ROLE smart_filter_scaler SET default_transaction_read_only = on;
-- The next poll repeats a count that takes longer.
ALTER ROLE smart_filter_scaler SET statement_timeout = '5s';

GRANT SELECT (capability, state) ON stages TO smart_filter_scaler;
-- No stage of a paused queue is claimed, so it needs no pods.
GRANT SELECT (capability) ON pauses TO smart_filter_scaler;
