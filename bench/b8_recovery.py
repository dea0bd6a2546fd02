"""B8: how long a manager that was killed under load is missed, and whether anything is missing afterwards."""

from statistics import median

from bench.metric import Effort, Measured, Metric
from bench.ratios import ratio_of_medians
from bench.recovery import Recovery, recover
from bench.world import open_world

_BOTS = 1000
_KILLS = 5
_MOST_BACK_S = 2.0
_MOST_SETTLED_S = 5.0


async def measure(effort: Effort) -> Measured:
    """Kill a busy manager a few times, each time beside the start of a bare server, and count what is missing."""
    steps: list[str] = []
    async with open_world(effort) as world:
        found = await recover(
            world,
            bots=effort.pick(_BOTS, 12),
            kills=effort.pick(_KILLS, 1),
            calm_s=effort.pick(8.0, 1.0),
            say=steps.append,
        )
    ratio = ratio_of_medians([kill.back_s for kill in found.kills], [kill.floor_s for kill in found.kills])
    slowest_s, settled_s = max(kill.back_s for kill in found.kills), max(kill.settled_s for kill in found.kills)
    return Measured(
        ratio=ratio.value,
        ci95=(ratio.low, ratio.high),
        value=median(kill.back_s for kill in found.kills),
        met=found.sound and slowest_s <= _MOST_BACK_S and settled_s <= _MOST_SETTLED_S,
        cpu_s_per_op=None,
        remarks=(*(line.strip() for step in steps for line in step.splitlines()), _summary(found, settled_s)),
    )


def _summary(found: Recovery, settled_s: float) -> str:
    wrong = ", ".join(" ".join(line.split()) for line in found.violations.lines() if not line.endswith(" 0"))
    return f"{found.visits} visits; settled after {settled_s:.2f} s at the latest; wrong: {wrong or 'nothing'}"


METRIC = Metric(
    title="manager killed (SIGKILL) with 1,000 bots under way and users at work; from the kill until the API is back",
    floor="start of FastAPI with one asyncpg pool, until its first answer",
    unit="s p50",
    target=(
        f"API back <= {_MOST_BACK_S:g} s and all settled <= {_MOST_SETTLED_S:g} s after each kill; "
        "nothing lost, doubled or orphaned"
    ),
    measure=measure,
)
