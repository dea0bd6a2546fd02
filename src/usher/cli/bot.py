"""`python -m usher.cli.bot`: be a bot. A module of its own, so that a bot loads nothing of the manager."""

import asyncio
import sys

from pydantic import ValidationError

from usher.bot.session import run
from usher.protocol import last_words
from usher.protocol.bot import VARIABLE, BotConfiguration
from usher.settings import bot_document, last_words_bytes, last_words_path
from usher.telemetry import configure_logging

_BAD_CONFIGURATION = 2


def main() -> int:
    """Run the bot that the environment describes, and return its exit code."""
    configure_logging("info", "json")
    document = bot_document(VARIABLE)
    if document is None:
        return _complain(f"{VARIABLE} is not set. Bots are started by the manager; send one with `usher join URL`.")
    try:
        configuration = BotConfiguration.model_validate_json(document)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, found["loc"])) for found in error.errors())
        return _complain(f"{VARIABLE} is not a bot configuration: {fields}.")
    most_bytes = last_words_bytes(last_words.LIMIT_VARIABLE) or last_words.MOST_BYTES
    return asyncio.run(run(configuration, last_words_path(last_words.VARIABLE), most_bytes))


def _complain(message: str) -> int:
    sys.stderr.write(f"usher: {message}\n")
    return _BAD_CONFIGURATION


if __name__ == "__main__":
    sys.exit(main())
