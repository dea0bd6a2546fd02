"""A launch that waits for room says so."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_LIFECYCLE_ROWS = """
INSERT INTO lifecycle_transitions (from_state, event, to_state) VALUES ('starting', 'room_awaited', 'starting')
"""


def upgrade() -> None:
    """Apply the revision."""
    op.get_bind().exec_driver_sql(_LIFECYCLE_ROWS)
