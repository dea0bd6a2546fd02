"""One simulated bot in a process of its own, for launchers of processes: `python -m bench.fleet.lone DIRECTORY`.

In the directory it leaves its process id, in a file named by its meeting.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

import uvloop

from bench.fleet.bot import Crew
from usher.adapters.memory.launcher import Workload
from usher.domain.reconcile import WorkloadName
from usher.ports import WorkloadSpec
from usher.protocol.bot import VARIABLE, BotConfiguration
from usher.settings import bot_document


async def _be(document: str, directory: Path) -> int:
    configuration = BotConfiguration.model_validate_json(document)
    (directory / str(configuration.meeting_id)).write_text(str(os.getpid()))
    name = WorkloadName(configuration.meeting_id, configuration.attempt)
    living = asyncio.ensure_future(Crew(None).live(Workload(WorkloadSpec(name, {VARIABLE: document}))))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, living.cancel)
    return await living


def main() -> None:
    """Be a bot, and exit with its exit code."""
    document = bot_document(VARIABLE)
    if document is None:
        sys.exit(f"{VARIABLE} is not set")
    sys.exit(uvloop.run(_be(document, Path(sys.argv[1]))))


if __name__ == "__main__":
    main()
