"""Add the security log of tenants, which cannot be changed afterwards."""

from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add a table, and triggers that refuse changes of it for the first 30 days."""
    op.execute("""
        CREATE TABLE audit_events (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            at timestamptz NOT NULL DEFAULT statement_timestamp(),
            tenant text NOT NULL,
            event text NOT NULL,
            key_id uuid,
            network text,
            subject text,
            count bigint NOT NULL DEFAULT 1
        )
    """)
    op.execute("CREATE INDEX audit_events_by_tenant ON audit_events (tenant, id)")
    op.execute("CREATE INDEX audit_events_by_time ON audit_events (at)")
    op.execute("""
        CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' AND OLD.at < statement_timestamp() - interval '30 days' THEN
                RETURN OLD;
            END IF;
            RAISE EXCEPTION 'rows of audit_events cannot be changed, nor deleted for 30 days';
        END
        $$
    """)
    op.execute("""
        CREATE TRIGGER audit_events_append_only BEFORE UPDATE OR DELETE ON audit_events
        FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()
    """)
    op.execute("""
        CREATE TRIGGER audit_events_not_emptied BEFORE TRUNCATE ON audit_events
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()
    """)
