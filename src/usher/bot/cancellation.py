"""Whether the work at hand is to stop."""

import asyncio


def is_cancelled() -> bool:
    """Say whether the running task was asked to stop.

    Python 3.11 may lose a cancellation that meets an answer inside the Redis client: endless loops ask for themselves.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
