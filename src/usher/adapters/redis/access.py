"""Accounts of bots: one Redis ACL user for each connection."""

import hashlib

from redis.asyncio import Redis

from usher.adapters.redis.connection import answering
from usher.protocol.commands import command_channel
from usher.protocol.segments import STREAM

_COMMANDS = (
    "-@all",
    "+xadd",
    "+subscribe",
    "+unsubscribe",
    "+ping",
    "+auth",
    "+hello",
    "+client|setname",
    "+client|setinfo",
)


def account_name(connection_id: str) -> str:
    """Return the name of the Redis user of a bot."""
    return f"usher-bot-{connection_id}"


class RedisBotAccess:
    """Grants and revokes accounts that may hear one command channel and append to the segment stream.

    What an ACL cannot forbid is an option of a permitted command: an account may trim the stream with
    `XADD ... MAXLEN`. Accounts live in the memory of Redis; if it restarts without an ACL file they have to be granted
    again, which `usher.app.access` does.

    Source: Valkey documentation, "ACL", "Key permissions": `%W~` permits to write without permitting to read.
    """

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def grant(self, connection_id: str, password: str) -> None:
        """Create or refresh the account; connections that it has open stay open. Idempotent.

        Raises:
            Unavailable: Redis does not answer.
        """
        digest = hashlib.sha256(password.encode()).hexdigest()
        rules = ("reset", "on", f"#{digest}", f"%W~{STREAM}", f"&{command_channel(connection_id)}", *_COMMANDS)
        with answering():
            await self._client.execute_command("ACL SETUSER", account_name(connection_id), *rules)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

    async def revoke(self, connection_id: str) -> None:
        """Remove the account and cut its connections. Idempotent.

        Source: Valkey documentation, `ACL DELUSER`: it terminates the connections of the users that it deletes, which
        leaves no moment at which a cut bot could log in again.

        Raises:
            Unavailable: Redis does not answer.
        """
        with answering():
            await self._client.execute_command("ACL DELUSER", account_name(connection_id))  # type: ignore[no-untyped-call]  # redis-py leaves it untyped

    async def accounts(self) -> frozenset[str]:
        """Return the connections that have an account.

        Raises:
            Unavailable: Redis does not answer.
        """
        with answering():
            names: list[str] = await self._client.execute_command("ACL USERS")  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        prefix = account_name("")
        return frozenset(name.removeprefix(prefix) for name in names if name.startswith(prefix))
