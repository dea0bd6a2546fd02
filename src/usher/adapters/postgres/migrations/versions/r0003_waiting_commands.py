"""The commands that a bot has not acknowledged are found without a look at those that it has."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_WAITING = "CREATE INDEX commands_waiting ON commands (connection_id, seq) WHERE acknowledged_at IS NULL"


def upgrade() -> None:
    """Apply the revision."""
    op.get_bind().exec_driver_sql(_WAITING)
