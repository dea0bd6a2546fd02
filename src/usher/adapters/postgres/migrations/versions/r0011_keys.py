"""What an API key is for and how long; where an admin's deed came from."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_KEYS = """
ALTER TABLE api_tokens
    ADD COLUMN name         varchar(100),
    ADD COLUMN scopes       text[],
    ADD COLUMN ending       varchar(8) NOT NULL DEFAULT '',
    ADD COLUMN expires_at   timestamptz,
    ADD COLUMN last_used_at timestamptz
"""

_KEYS_OF_USER = "CREATE INDEX api_tokens_user ON api_tokens (user_id, id)"

_ORIGIN = "ALTER TABLE audit_log ADD COLUMN origin text NOT NULL DEFAULT ''"


def upgrade() -> None:
    """Apply the revision."""
    for statement in (_KEYS, _KEYS_OF_USER, _ORIGIN):
        op.get_bind().exec_driver_sql(statement)
