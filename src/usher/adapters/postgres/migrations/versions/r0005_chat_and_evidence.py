"""Commands that write into the chat or change the bot's name; chat; evidence; help; what is known of a failure."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# What to write, or the new name.
_TEXT = "ALTER TABLE commands ADD COLUMN text text"

# A manager of the version before leaves both as they are: then the longer way round is taken, and no detail shown.
_MEETINGS = """
ALTER TABLE meetings
    ADD COLUMN configuration_seq integer NOT NULL DEFAULT 0,
    ADD COLUMN failure_detail text
"""

_EVIDENCE = """
CREATE TABLE meeting_evidence (
    meeting_id bigint NOT NULL REFERENCES meetings ON DELETE CASCADE,
    number     integer NOT NULL,
    attempt    integer NOT NULL,
    step       text NOT NULL,
    reason     varchar(50),
    taken_at   timestamptz NOT NULL DEFAULT now(),
    title      text NOT NULL,
    address    text NOT NULL,
    screenshot bytea,
    tree       text NOT NULL,
    PRIMARY KEY (meeting_id, number)
)
"""

# A JPEG does not get smaller, and trying costs time.
_STORAGE = "ALTER TABLE meeting_evidence ALTER COLUMN screenshot SET STORAGE EXTERNAL"

# `id` is the order in which lines were seen.
_CHAT = """
CREATE TABLE chat_messages (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    meeting_id bigint NOT NULL REFERENCES meetings ON DELETE CASCADE,
    attempt    integer NOT NULL,
    line_id    text COLLATE "C" NOT NULL,
    sender     varchar(255) NOT NULL,
    text       text NOT NULL,
    is_self    boolean NOT NULL,
    seen_at    timestamptz NOT NULL,
    PRIMARY KEY (meeting_id, line_id, attempt)
)
"""


_HELP = "INSERT INTO lifecycle_transitions (from_state, event, to_state) VALUES ('joining', 'help_wanted', 'joining')"


def upgrade() -> None:
    """Apply the revision."""
    for statement in (_TEXT, _MEETINGS, _EVIDENCE, _STORAGE, _CHAT, _HELP):
        op.get_bind().exec_driver_sql(statement)
