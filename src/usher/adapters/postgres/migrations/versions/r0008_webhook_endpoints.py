"""Several webhooks for a user, each with its events; what became of each message."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# A manager of the version before knows of one webhook for a user, by `user_id`, and goes on to set and read that one.
# It owes nothing to those that are added, which have `added_by` instead; `owner_id` is whose either is.
_ENDPOINTS = """
ALTER TABLE webhooks
    ALTER COLUMN user_id DROP NOT NULL,
    ADD COLUMN added_by bigint REFERENCES users ON DELETE CASCADE,
    ADD COLUMN owner_id bigint GENERATED ALWAYS AS (coalesce(user_id, added_by)) STORED,
    ADD COLUMN description text NOT NULL DEFAULT '',
    ADD COLUMN events text[] NOT NULL DEFAULT '{meeting.status_change}',
    ADD COLUMN enabled boolean NOT NULL DEFAULT true,
    ADD COLUMN gone boolean NOT NULL DEFAULT false,
    ADD COLUMN old_secret text,
    ADD COLUMN old_secret_until timestamptz,
    ADD CHECK (num_nonnulls(user_id, added_by) = 1)
"""

_OWNERS = "CREATE INDEX webhooks_owner ON webhooks (owner_id, id)"

# Which webhook is told, and what: neither in rows of the version before, which mean the one of `user_id`. Without a
# key to `webhooks`: the check would cost every change of a meeting, and what is owed to nobody settles itself.
_OWED = "ALTER TABLE outbox ADD COLUMN webhook_id bigint, ADD COLUMN notice text"

_DELIVERIES = """
CREATE TABLE webhook_deliveries (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id   bigint NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    meeting_id   bigint NOT NULL,
    version      integer NOT NULL,
    notice       text NOT NULL,
    attempts     integer NOT NULL DEFAULT 1,
    status_code  integer,
    error        text,
    first_at     timestamptz NOT NULL DEFAULT now(),
    last_at      timestamptz NOT NULL DEFAULT now(),
    delivered_at timestamptz,
    UNIQUE (webhook_id, meeting_id, version, notice)
)
"""

_LISTED = "CREATE INDEX webhook_deliveries_listed ON webhook_deliveries (webhook_id, id)"

_OLD = "CREATE INDEX webhook_deliveries_old ON webhook_deliveries (last_at)"


def upgrade() -> None:
    """Apply the revision. The outbox comes first, for its lock is the one that others wait for."""
    for statement in (_OWED, _ENDPOINTS, _OWNERS, _DELIVERIES, _LISTED, _OLD):
        op.get_bind().exec_driver_sql(statement)
