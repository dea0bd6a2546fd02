"""The weathers that runs are made in, from a quiet network to hell."""

from dataclasses import replace

from tests.explorer.plans import Weather
from tests.support.invariants import Allowance

QUIET = Weather("quiet", latency_s=0.002)
BREEZE = Weather(
    "breeze",
    lost=0.004,
    late=0.002,
    late_s=2.0,
    twice=0.01,
    crash=0.0005,
    deaf=0.1,
    blind=0.1,
    full=0.1,
    slow=0.005,
    slow_s=2.0,
    latency_s=0.005,
    disaster_s=60.0,
)
GALE = replace(
    BREEZE,
    name="gale",
    lost=0.02,
    late=0.01,
    late_s=60.0,
    twice=0.03,
    crash=0.001,
    pause=0.001,
    blind=0.0,
    slow=0.02,
    slow_s=8.0,
    latency_s=0.02,
    disaster_s=20.0,
)
HELL = replace(
    GALE, name="hell", lost=0.1, late=0.03, twice=0.1, crash=0.004, pause=0.004, slow=0.05, slow_s=20.0, disaster_s=8.0
)
DEAF = Weather("deaf", deaf=0.5, blind=0.1, latency_s=0.005)
FRAIL = Weather("frail bots", latency_s=0.005, disaster_s=6.0, disasters=("bot killed", "bot frozen"))
SILENT = Weather(
    "silent launcher", unhelpful=0.3, late_s=20.0, latency_s=0.01, disaster_s=10.0, disasters=("bot frozen",)
)
CRASHES = Weather("crashes", crash=0.01, late=0.005, twice=0.15, latency_s=0.01, disaster_s=8.0)
PAUSES = Weather("pauses", pause=0.01, late=0.005, twice=0.15, latency_s=0.01)
LATE = Weather("late", slow=0.15, slow_s=30.0, twice=0.1, late=0.05, latency_s=0.05, disaster_s=30.0)

ALL = (QUIET, DEAF, FRAIL, BREEZE, GALE, HELL, SILENT, SILENT, CRASHES, PAUSES, LATE)

_PROMPT = Allowance(sweep_s=15.0, detection_s=30.0, kill_s=15.0, deadline_s=15.0, command_s=16.0)
_SOON = replace(_PROMPT, command_s=40.0)
_ROUGH = Allowance(sweep_s=60.0, detection_s=120.0, kill_s=60.0, deadline_s=60.0, command_s=120.0, sight_s=60.0)
_UNSEEN = replace(_ROUGH, command_s=16.0, sight_s=5.0)

LAWLESS = frozenset({HELL, LATE})
"""Here the system makes no promises about time until the storm is over."""


def allowance(weather: Weather) -> Allowance:
    """Return how long things may take in a weather."""
    if weather in {QUIET, DEAF, FRAIL}:
        return _PROMPT
    if weather is SILENT:
        return _UNSEEN
    return _SOON if weather is BREEZE else _ROUGH
