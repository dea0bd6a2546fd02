"""The fast path of commands."""

from redis.asyncio import Redis

from usher.adapters.redis.connection import answering
from usher.protocol.commands import command_channel


class RedisCommandChannel:
    """Publishes commands to bots."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    async def publish(self, connection_id: str, message: str) -> int:
        """Publish and return the number of listeners reached.

        Raises:
            Unavailable: Redis does not answer; the message may have been published.
        """
        with answering():
            return int(await self._client.publish(command_channel(connection_id), message))
