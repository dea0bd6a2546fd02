"""The drawing of the speech benchmark: delays by the number of streams, as an SVG without any library."""

import math
from collections.abc import Sequence

from bench.speech.curve import LAG_S, Curves, Point

_WIDTH, _HEIGHT = 720, 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 20, 40, 50
_MOST_S = 12
_FONT = 'font-family="sans-serif" font-size="12"'
_LINES = (
    ("Usher p50", "usher", 0, "#1f77b4", ""),
    ("Usher p90", "usher", 1, "#1f77b4", "5 4"),
    ("stock p50", "stock", 0, "#d62728", ""),
    ("stock p90", "stock", 1, "#d62728", "5 4"),
)


def draw(curves: Curves) -> str:
    """Return the drawing: seconds from the last sound of an utterance until its text is final."""
    points = [*curves.usher, *curves.stock]
    most_streams = max(point.streams for point in points)
    most_s = min(_MOST_S, math.ceil(max(point.final_s[1] for point in points)))

    def place(streams: float, seconds: float) -> tuple[float, float]:
        x = _LEFT + streams / most_streams * (_WIDTH - _LEFT - _RIGHT)
        y = _HEIGHT - _BOTTOM - min(seconds, most_s) / most_s * (_HEIGHT - _TOP - _BOTTOM)
        return round(x, 1), round(y, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
        '<rect width="100%" height="100%" fill="white"/>',
        _text(_WIDTH / 2, 18, "Seconds from the last sound of an utterance until its text is final", "middle"),
        _text(_WIDTH / 2, _HEIGHT - 10, "live streams on two cores", "middle"),
    ]
    for seconds in range(most_s + 1):
        x, y = place(0, seconds)
        parts += [_rule(x, y, _WIDTH - _RIGHT, y, "#dddddd"), _text(x - 8, y + 4, f"{seconds} s", "end")]
    for streams in sorted({point.streams for point in points}):
        x, y = place(streams, 0)
        parts.append(_text(x, y + 18, str(streams), "middle"))
    y = place(0, LAG_S)[1]
    parts.append(_rule(_LEFT, y, _WIDTH - _RIGHT, y, "#888888", "2 3"))
    for number, (label, side, index, color, dashes) in enumerate(_LINES):
        series: Sequence[Point] = getattr(curves, side)
        at = [place(point.streams, point.final_s[index]) for point in series]
        parts.append(_curve(at, color, dashes))
        x = _LEFT + 20 + 130 * number
        parts += [_rule(x, 30, x + 24, 30, color, dashes), _text(x + 30, 34, label, "start")]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _curve(at: Sequence[tuple[float, float]], color: str, dashes: str) -> str:
    places = " ".join(f"{x},{y}" for x, y in at)
    dots = "".join(f'<circle cx="{x}" cy="{y}" r="3" fill="{color}"/>' for x, y in at)
    line = f'<polyline points="{places}" fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dashes}"/>'
    return line + dots


def _rule(x1: float, y1: float, x2: float, y2: float, color: str, dashes: str = "") -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{color}" stroke-dasharray="{dashes}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="#222222">{text}</text>'
