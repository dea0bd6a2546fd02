"""Editions of transcripts: what changed in which, so that a viewer gets what it missed."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Narrow, and a row of its own: the meeting's own row is wide, and its state is written all the time.
_EDITIONS = """
CREATE TABLE transcript_editions (
    meeting_id bigint PRIMARY KEY REFERENCES meetings ON DELETE CASCADE,
    edition    bigint NOT NULL
) WITH (fillfactor = 50)
"""

# What was stored before, or by a collector of the version before, is of edition 0.
_EDITION = "ALTER TABLE transcriptions ADD COLUMN edition bigint NOT NULL DEFAULT 0"


def upgrade() -> None:
    """Apply the revision."""
    for statement in (_EDITIONS, _EDITION):
        op.get_bind().exec_driver_sql(statement)
