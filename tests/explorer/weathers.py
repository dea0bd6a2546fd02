"""The weathers that runs are made in, from a quiet network to hell."""

from dataclasses import replace

from tests.explorer.faults import Weather

QUIET = Weather("quiet", latency_s=0.002)
BREEZE = Weather(
    "breeze",
    lost=0.004,
    late=0.002,
    late_s=2.0,
    twice=0.01,
    crash=0.0005,
    deaf=0.1,
    blind=0.02,
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
    blind=0.05,
    slow=0.02,
    slow_s=8.0,
    latency_s=0.02,
    disaster_s=20.0,
)
HELL = replace(
    GALE, name="hell", lost=0.1, late=0.03, twice=0.1, crash=0.004, pause=0.004, slow=0.05, slow_s=20.0, disaster_s=8.0
)
CRASHES = Weather("crashes", crash=0.01, late=0.005, latency_s=0.01, disaster_s=15.0)
PAUSES = Weather("pauses", pause=0.01, late=0.005, latency_s=0.01)
LATE = Weather("late", slow=0.15, slow_s=30.0, twice=0.1, late=0.05, latency_s=0.05, disaster_s=30.0)

ALL = (QUIET, BREEZE, GALE, HELL, CRASHES, PAUSES, LATE)

PROMPT = frozenset({QUIET, BREEZE})
"""Here the system keeps its promises about time."""

LAWLESS = frozenset({HELL, LATE})
"""Here it makes none until the storm is over."""
