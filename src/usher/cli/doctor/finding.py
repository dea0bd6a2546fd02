"""What the doctor is told, and what it says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from usher.domain.errors import UsherError
from usher.transcription.config import RemoteConfig


@dataclass(frozen=True, slots=True)
class DoctorSettings:
    """What to try out. None stands for what Usher finds or starts by itself.

    Attributes:
        data_dir: Directory of everything that `usher up` keeps; the installed model is in its `models`.
        chromium: Path of a Chromium or Chrome.
        sandbox: Whether Chromium keeps its own sandbox; None for: unless root.
        model: Directory of a speech model.
        remote_speech: Service that transcribes in place of a model.
        dsn: PostgreSQL, `postgresql://…`.
        redis_url: Redis, `redis://…`.
        ports: TCP ports on the loopback address that Usher is going to listen on.
    """

    data_dir: Path
    chromium: Path | None = None
    sandbox: bool | None = None
    model: Path | None = None
    remote_speech: RemoteConfig | None = None
    dsn: str | None = None
    redis_url: str | None = None
    ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    Attributes:
        name: What was tried out, in a word or two.
        ok: Whether it works.
        detail: What was seen.
        remedy: What to do when it does not work; else empty.
    """

    name: str
    ok: bool
    detail: str
    remedy: str = ""

    @classmethod
    def of_error(cls, name: str, error: UsherError) -> Self:
        """Return what an error says: its first sentence is what was seen, the rest is what to do."""
        detail, _, remedy = str(error).partition(". ")
        return cls(name, ok=False, detail=detail, remedy=remedy)
