"""Meetings whose transcript was deleted, links to transcripts, and lists of meetings by when they were asked for."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# A collector of the version before does not look at it: what it may store late is deleted by the next sweep.
_REDACTED = "ALTER TABLE meetings ADD COLUMN redacted_at timestamptz"

_REDACTIONS = "CREATE INDEX meetings_redacted ON meetings (redacted_at) WHERE redacted_at IS NOT NULL"

# In the place of `meetings_user`, which had no time in it.
_LISTED = "CREATE INDEX meetings_listed ON meetings (user_id, created_at, id)"

_LISTED_BY_ID = "DROP INDEX meetings_user"

_FAILED = "CREATE INDEX meetings_failed ON meetings (user_id, created_at, id) WHERE status = 'failed'"

_SHARES = """
CREATE TABLE transcript_shares (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    meeting_id   bigint NOT NULL REFERENCES meetings ON DELETE CASCADE,
    token_sha256 bytea NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL
)
"""

_SHARES_OF_MEETING = "CREATE INDEX transcript_shares_meeting ON transcript_shares (meeting_id, id)"

_SHARES_OVER = "CREATE INDEX transcript_shares_over ON transcript_shares (expires_at)"


def upgrade() -> None:
    """Apply the revision. The column comes first, for its lock is the strongest."""
    for statement in (
        _REDACTED,
        _REDACTIONS,
        _LISTED,
        _LISTED_BY_ID,
        _FAILED,
        _SHARES,
        _SHARES_OF_MEETING,
        _SHARES_OVER,
    ):
        op.get_bind().exec_driver_sql(statement)
