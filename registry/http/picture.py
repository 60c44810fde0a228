"""The picture of look-ups: two small charts as inline SVG, coloured by the style sheet.

Points have whole numbers, so that the picture of two minutes is some 3 KiB.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from registry.http.activity import SECONDS_KEPT, Second

WIDTH, HEIGHT = 600, 110
LATENCY_STEPS_S = (0.000_01, 0.000_1, 0.001, 0.01, 0.1, 1.0)
"""Lines of the chart of latencies, whose scale is logarithmic: 10 us to 1 s."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: pieces, because a second without look-ups has no latency."""

    name: str
    pieces: tuple[str, ...]
    """Each `x,y x,y ...` as polyline has it."""


@dataclass(frozen=True, slots=True)
class Picture:
    """Both charts, ready for the template."""

    top_per_s: int
    """What the upper edge of the chart of rates stands for."""
    rates: tuple[Line, ...]
    latencies: tuple[Line, ...]
    latency_marks: tuple[tuple[int, str], ...]
    """Height of a line of the scale, and what it stands for."""


def draw(seconds: Sequence[Second]) -> Picture:
    """The newest second at the right edge."""
    top = _round_up(max((second.calls_per_s + second.preambles_per_s for second in seconds), default=0.0))
    return Picture(
        top,
        (
            _line("all", [_rate(second.calls_per_s + second.preambles_per_s, top) for second in seconds]),
            _line("preambles", [_rate(second.preambles_per_s, top) for second in seconds]),
        ),
        (
            _line("p99", [_latency(second.p99_s) for second in seconds]),
            _line("p50", [_latency(second.p50_s) for second in seconds]),
        ),
        tuple((_latency(step) or 0, shown_s(step)) for step in LATENCY_STEPS_S[1:-1]),
    )


def shown_s(span_s: float | None) -> str:
    """A short span of time for people."""
    if span_s is None:
        return "none timed"
    if span_s < 0.001:
        return f"{span_s * 1e6:.0f} µs"
    return f"{span_s * 1000:.3g} ms" if span_s < 1 else f"{span_s:.3g} s"


def _line(name: str, heights: Sequence[int | None]) -> Line:
    step = WIDTH / (SECONDS_KEPT - 1)
    first = SECONDS_KEPT - len(heights)
    pieces: list[list[str]] = [[]]
    for index, height in enumerate(heights):
        if height is None:
            pieces.append([])
        else:
            pieces[-1].append(f"{round((first + index) * step)},{height}")
    # A piece of one point has no length: it is drawn as a dash.
    drawn = [piece if len(piece) > 1 else [*piece, _beside(piece[0])] for piece in pieces if piece]
    return Line(name, tuple(" ".join(piece) for piece in drawn))


def _beside(point: str) -> str:
    x, _, y = point.partition(",")
    return f"{int(x) - 2},{y}"


def _rate(per_s: float, top: int) -> int:
    return HEIGHT - round(per_s / top * (HEIGHT - 4))


def _latency(seconds: float | None) -> int | None:
    if seconds is None:
        return None
    lowest, highest = LATENCY_STEPS_S[0], LATENCY_STEPS_S[-1]
    share = math.log(min(max(seconds, lowest), highest) / lowest) / math.log(highest / lowest)
    return HEIGHT - round(share * (HEIGHT - 4))


def _round_up(value: float) -> int:
    """The next 1, 2 or 5 of a power of ten, so that the scale does not jump each second."""
    scale = 10
    while True:
        for step in (1, 2, 5):
            if value <= step * scale:
                return step * scale
        scale *= 10
