"""The end of a process that somebody asks for. Loads nothing else of the system."""

import asyncio
import signal


async def run_until_signal(work: asyncio.Task[None]) -> None:
    """Wait for `work`, and cancel it in an orderly way at the first SIGINT or SIGTERM."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    await asyncio.wait({work})
    if not work.cancelled():
        work.result()
