"""Serves a platform's replica with two people in a call, until its standard input is closed: for `usher doctor`.

    python -m tests.replicas google_meet

Prints one line of JSON: {"url": where to join, "browser": the browser that finds the replica there}. Whoever asks is
let in after a moment.
"""

import asyncio
import json
import sys
import tempfile
from pathlib import Path

from tests.replicas.stage import open_house, replica_stage

from usher.domain.meeting import Platform


async def serve(platform: Platform) -> None:
    """Serve until nobody listens any more."""
    with tempfile.TemporaryDirectory(prefix="usher-replica-") as folder:
        async with open_house(platform, Path(folder)) as house, replica_stage(house) as stage:
            await stage.person("Ann", 440, host=True)
            await stage.person("Bob", 880)
            admitting = asyncio.create_task(stage.admit())
            sys.stdout.write(json.dumps({"url": stage.url, "browser": str(stage.browser)}) + "\n")
            sys.stdout.flush()
            await asyncio.to_thread(sys.stdin.read)
            admitting.cancel()


if __name__ == "__main__":
    asyncio.run(serve(Platform(sys.argv[1])))
