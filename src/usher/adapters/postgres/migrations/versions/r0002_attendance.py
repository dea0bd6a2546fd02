"""When heartbeats are being taken; bots that were never sent; configurations that were applied late; webhooks."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# One row: whether somebody listens to heartbeats, and since when without a gap.
_ATTENDANCE = """
CREATE TABLE attendance (
    id      smallint PRIMARY KEY CHECK (id = 1),
    since   timestamptz NOT NULL,
    seen_at timestamptz NOT NULL
) WITH (fillfactor = 20)
"""

_LIFECYCLE_ROWS = """
INSERT INTO lifecycle_transitions (from_state, event, to_state) VALUES
    ('scheduled', 'missed',                'failed'),
    ('active',    'configuration_applied', 'active')
"""

# The totals of a meeting are made after the end of its workload, in the same lane.
_ONE_LANE = "UPDATE outbox SET lane = 'workload' WHERE lane = 'finish'"

# The event that a webhook is told of.
_VERSION = "ALTER TABLE outbox ADD COLUMN version integer"

_BURIED = "CREATE INDEX outbox_buried ON outbox (buried_at) WHERE buried_at IS NOT NULL"


def upgrade() -> None:
    """Apply the revision."""
    for statement in (_ATTENDANCE, _LIFECYCLE_ROWS, _ONE_LANE, _VERSION, _BURIED):
        op.get_bind().exec_driver_sql(statement)
