"""`usher transcribe`: the speech service."""

from usher.cli.services import run
from usher.cli.speech import serve_speech
from usher.settings import Settings


def transcribe() -> None:
    """Run the speech service until a signal comes."""
    settings = Settings()
    run(serve_speech(settings), settings)
