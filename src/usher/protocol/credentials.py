"""A bot's token: derived from the installation's secret, so that it need not be stored and a relaunch gets the same.

It names the meeting and the connection it is for, and it counts only while that connection is the meeting's current
attempt (the manager looks that up): with the attempt it dies.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass

_PREFIX = "ub1"
_TOKEN = re.compile(_PREFIX + r"\.([1-9][0-9]{0,18})\.([A-Za-z0-9-]{1,64})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class BotIdentity:
    """Whom a bot's token speaks for."""

    meeting_id: int
    connection_id: str

    def owns(self, session_uid: str) -> bool:
        """Say whether a session at the speech service may have this name: see `name_session`."""
        return session_uid == self.connection_id or session_uid.startswith(f"{self.connection_id}.")


def name_session(after: str, suffix: str) -> str:
    """Return the name of a further session of a bot at the speech service.

    Args:
        after: Name of any session of the bot; the first one is named as its connection.
        suffix: Tells it from the others; at most 35 characters.
    """
    return f"{after.partition('.')[0]}.{suffix}"


class BotCredentials:
    """Derives and checks the tokens of bots.

    Args:
        secret: The installation's secret, at least 16 bytes.
    """

    def __init__(self, secret: bytes) -> None:
        if len(secret) < 16:
            raise ValueError("The installation's secret has to have at least 16 bytes.")
        self._key = hmac.new(secret, b"usher bot credentials", hashlib.sha256).digest()

    def token(self, bot: BotIdentity) -> str:
        """Return the bot's bearer token."""
        return f"{_PREFIX}.{bot.meeting_id}.{bot.connection_id}.{self._mac(bot, 'token')}"

    def redis_password(self, bot: BotIdentity) -> str:
        """Return the password of the bot's own Redis account."""
        return self._mac(bot, "redis")

    def verify(self, token: str) -> BotIdentity | None:
        """Return whom `token` speaks for, or None if it was not derived from this secret. Constant time."""
        found = _TOKEN.fullmatch(token)
        if found is None:
            return None
        bot = BotIdentity(int(found[1]), found[2])
        return bot if hmac.compare_digest(found[3], self._mac(bot, "token")) else None

    def _mac(self, bot: BotIdentity, purpose: str) -> str:
        message = f"{purpose}:{bot.meeting_id}:{bot.connection_id}".encode()
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()
