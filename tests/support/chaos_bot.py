"""A bot without a browser: the real protocol, a scripted visit, and a diary of its own.

    python -m tests.support.chaos_bot DIARIES [SHIFT_S]

Its command line is the same for all bots, as launchers want it; what it does is in its name (`Script`). In the
directory DIARIES it keeps a file of JSON lines, `<meeting>-<attempt>.jsonl`, that outlives its workload: what it sent,
which commands it executed, what it was answered, and which segments it was told are stored. SHIFT_S sets its wall clock
wrong.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path


def main() -> None:
    """Be a bot, and exit with its exit code."""
    from tests.support.chaos_clock import shift_wall_clock

    diaries, *shift_s = sys.argv[1:]
    if shift_s:
        shift_wall_clock(float(shift_s[0]))
    from tests.support.chaos_visit import visit

    from usher.protocol.bot import VARIABLE, BotConfiguration
    from usher.protocol.last_words import VARIABLE as LAST_WORDS
    from usher.settings import bot_document, last_words_path

    document = bot_document(VARIABLE)
    assert document is not None
    configuration = BotConfiguration.model_validate_json(document)
    code = asyncio.run(
        visit(configuration, Path(diaries), last_words_path(LAST_WORDS), [signal.SIGTERM, signal.SIGINT])
    )
    os._exit(code)


if __name__ == "__main__":
    main()
