"""Recordings of meetings."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_WANTED = "ALTER TABLE meetings ADD COLUMN recording_enabled boolean NOT NULL DEFAULT false"

# No cascade from meetings: the bytes of a recording lie elsewhere, and whoever deletes it deletes them first.
_RECORDINGS = """
CREATE TABLE recordings (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    meeting_id    bigint NOT NULL REFERENCES meetings,
    attempt       integer NOT NULL,
    connection_id text COLLATE "C" NOT NULL UNIQUE,
    started_at    timestamptz NOT NULL,
    failure       text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    deleted_at    timestamptz,
    UNIQUE (meeting_id, attempt)
)
"""

_DELETED = "CREATE INDEX recordings_deleted ON recordings (id) WHERE deleted_at IS NOT NULL"

_FILES = """
CREATE TABLE recording_files (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    recording_id bigint NOT NULL REFERENCES recordings ON DELETE CASCADE,
    name         varchar(20) NOT NULL,
    speaker      varchar(255),
    state        varchar(20) NOT NULL,
    duration_ms  bigint NOT NULL DEFAULT 0,
    lost_ms      bigint NOT NULL DEFAULT 0,
    size_bytes   bigint NOT NULL DEFAULT 0,
    chunks       integer NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (recording_id, name)
) WITH (fillfactor = 50)
"""

_CHUNKS = """
CREATE TABLE recording_chunks (
    file_id    bigint NOT NULL REFERENCES recording_files ON DELETE CASCADE,
    number     integer NOT NULL,
    sha256     bytea NOT NULL,
    size_bytes integer NOT NULL,
    PRIMARY KEY (file_id, number)
)
"""


def upgrade() -> None:
    """Apply the revision."""
    for statement in (_WANTED, _RECORDINGS, _DELETED, _FILES, _CHUNKS):
        op.get_bind().exec_driver_sql(statement)
