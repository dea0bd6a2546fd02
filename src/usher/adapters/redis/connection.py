"""Connections to Redis, and what its failures mean here."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from usher.domain.errors import Unavailable

HEALTH_CHECK_S = 5

FAILURES = (RedisError, OSError, RuntimeError)
"""What the client raises when Redis cannot be spoken to; a timeout is an OSError.

The last is uvloop's word for a connection that was closed a moment ago, which the client does not translate.
"""


def connect(url: str, *, timeout_s: float = 5.0, max_connections: int = 32) -> Redis:
    """Return a client; it connects when it is first used. Close it with `aclose()`.

    Nothing is tried twice behind the caller's back: who may repeat a call knows it, the client does not. A connection
    that was idle is checked before use, so a Redis that was restarted costs no error.

    Args:
        url: `redis://user:password@host:port/db`, or `rediss://` for TLS.
        timeout_s: For connecting, for each answer, and for a free connection; blocking reads have to wait for less.
        max_connections: Upper bound of the pool; who comes when all are busy waits.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        timeout=timeout_s,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        socket_keepalive=True,
        health_check_interval=HEALTH_CHECK_S,
        retry=Retry(NoBackoff(), 0),
        max_connections=max_connections,
    )
    return Redis.from_pool(pool)


@contextmanager
def answering() -> Iterator[None]:
    """Turn every failure of Redis into `Unavailable`.

    The message names the kind of failure only: Redis repeats arguments in its own, and some of them are secret.
    """
    try:
        yield
    except FAILURES as error:
        raise Unavailable(f"Redis does not answer as it should ({type(error).__name__}).") from error
