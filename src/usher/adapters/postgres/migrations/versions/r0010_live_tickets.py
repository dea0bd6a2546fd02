"""Tickets with which browsers open live connections."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TICKETS = """
CREATE TABLE live_tickets (
    token_sha256 bytea PRIMARY KEY,
    user_id      bigint NOT NULL REFERENCES users ON DELETE CASCADE,
    expires_at   timestamptz NOT NULL
)
"""

_OF_USER = "CREATE INDEX live_tickets_user ON live_tickets (user_id, expires_at)"

_OVER = "CREATE INDEX live_tickets_over ON live_tickets (expires_at)"


def upgrade() -> None:
    """Apply the revision."""
    for statement in (_TICKETS, _OF_USER, _OVER):
        op.get_bind().exec_driver_sql(statement)
