"""Floor of B3: a process that hears a message on one Redis channel and answers on another, with redis-py alone."""

import asyncio

import uvloop
from redis.asyncio import Redis

from usher.bootstrap.addresses import required
from usher.settings import Settings

CALLS, ANSWERS = "bench:calls", "bench:answers"


async def _answer() -> None:
    redis: Redis = Redis.from_url(required(Settings().redis.url, "USHER_REDIS__URL"))
    async with redis, redis.pubsub() as calls:
        await calls.subscribe(CALLS)
        while True:
            message = await calls.get_message(timeout=None)
            if message is not None and message["type"] == "subscribe":
                print("{}", flush=True)
            elif message is not None:
                await redis.publish(ANSWERS, message["data"])


async def _main() -> None:
    from bench.serve import end_of_input  # noqa: PLC0415 - the servers are not needed for an echo

    answering = asyncio.create_task(_answer())
    await asyncio.wait({answering, asyncio.create_task(end_of_input())}, return_when=asyncio.FIRST_COMPLETED)
    answering.cancel()


if __name__ == "__main__":
    uvloop.run(_main())
