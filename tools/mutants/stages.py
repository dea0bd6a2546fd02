"""The suites that look for planted bugs, from the cheapest to the dearest."""

from collections.abc import Sequence
from dataclasses import dataclass

_PURE = (
    "tests/unit/domain",
    "tests/unit/protocol",
    "tests/unit/app",
    "tests/property/test_lifecycle.py",
    "tests/property/test_lifecycle_space.py",
    "tests/property/test_lifecycle_door.py",
    "tests/property/test_reconcile.py",
    "tests/property/test_signing.py",
    "tests/property/test_transcript.py",
)
_MEMORY = ("tests/contract", "tests/failure_modes", "tests/unit/api", "-k", "memory or states or reconciler or api")
_SERVERS = (
    "tests/contract",
    "tests/failure_modes",
    "tests/integration/test_migrations.py",
    "tests/property/test_store_model.py",
)


@dataclass(frozen=True, slots=True)
class Stage:
    """Some tests, run together.

    Attributes:
        arguments: What pytest is given: paths, and what chooses among their tests.
        timeout_s: For all of them; a stage that takes longer has found nothing.
    """

    name: str
    arguments: tuple[str, ...]
    timeout_s: float


STAGES: Sequence[Stage] = (
    Stage("rules", _PURE, 300.0),
    Stage("memory", _MEMORY, 300.0),
    Stage("bot", ("tests/unit/bot",), 600.0),
    Stage("servers", _SERVERS, 900.0),
    Stage("explorer", ("tests/explorer",), 1200.0),
    Stage("chaos", ("tests/chaos",), 3600.0),
)


def expected(quick: Sequence[str]) -> Stage:
    """Return the stage of the tests that are expected to notice a bug."""
    return Stage("expected", tuple(f"tests/{path}" for path in quick), 600.0)
