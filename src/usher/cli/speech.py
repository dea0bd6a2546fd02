"""The speech service as a process of its own."""

import asyncio

import uvloop

from usher.bootstrap.signals import run_until_signal
from usher.cli.speech_settings import server_config
from usher.domain.errors import Unavailable
from usher.protocol.credentials import BotCredentials, BotIdentity
from usher.settings import Settings
from usher.telemetry import configure_logging
from usher.transcription.engine import EngineError
from usher.transcription.service import run


async def serve_speech(settings: Settings) -> None:
    """Serve until cancelled. With `USHER_SECRET` set, only bots of this installation may come in.

    Raises:
        Invalid: The settings do not say where the remote service is.
        Unavailable: The model cannot be loaded, the remote service refuses us, or the port cannot be opened.
    """
    config = server_config(settings.transcription)
    try:
        await run(config, authenticate=_gate(settings))
    except EngineError as error:
        raise Unavailable(f"The speech engine does not start: {error}. `usher doctor` says more.") from error
    except OSError as error:
        raise Unavailable(f"The speech service cannot listen on {config.host}:{config.port}: {error}.") from error


def _gate(settings: Settings) -> "Gate | None":
    if settings.secret is None:
        return None
    return Gate(BotCredentials(settings.secret.get_secret_value().encode()))


class Gate:
    """Lets bots of this installation in."""

    def __init__(self, credentials: BotCredentials) -> None:
        self._credentials = credentials

    def __call__(self, token: str | None) -> BotIdentity | None:
        """Return the bot for which `token` was derived from this installation's secret, if it was."""
        return None if token is None else self._credentials.verify(token)


def main() -> None:
    """Be the speech service that `usher up` starts: nothing of the manager is loaded."""
    settings = Settings()
    configure_logging(settings.log.level, settings.log.format)
    uvloop.run(_until_signal(settings))


async def _until_signal(settings: Settings) -> None:
    await run_until_signal(asyncio.ensure_future(serve_speech(settings)))


if __name__ == "__main__":
    main()
