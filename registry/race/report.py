"""The race for people: a table that grows in the terminal, and one HTML file with a histogram of each case."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from rich.table import Table

from registry.race.bootstraps import QUANTILES, Case

BARS = 60
BAR_WIDTH, CHART_HEIGHT = 10, 120
MS_MIN, MS_MAX = 0.1, 120_000.0
"""The histograms' logarithmic scale: from a fast answer on loopback to two minutes."""

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color-scheme:light dark}
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid #8884}
th:first-child,td:first-child{text-align:left}svg{width:100%;height:auto}rect{fill:#2f6fb3}text{font-size:11px;fill:currentColor}
h2{margin-top:2.5rem}
"""


def table(cases: Sequence[Case], title: str) -> Table:
    """Numbers of all cases so far."""
    made = Table(title=title, title_justify="left")
    for heading in ("policy", "hung", "bootstraps", "failed", "p50", "p90", "p99", "p99.9", "max", "extra load"):
        made.add_column(heading, justify="left" if heading == "policy" else "right")
    for case in cases:
        times = [_ms(case.quantile_ms(quantile)) for _, quantile in QUANTILES]
        made.add_row(
            case.policy, str(case.hung), str(len(case.took_ms)), str(case.failed), *times,
            _ms(max(case.took_ms, default=0.0)), f"{case.extra_load_percent:+.1f} %",
        )  # fmt: skip
    return made


def page(cases: Sequence[Case], title: str) -> str:
    """One HTML document that needs nothing else."""
    heads = "".join(f"<th>{head}" for head in ("policy", "hung", "bootstraps", "failed", "p50", "p90", "p99", "p99.9"))
    rows = "".join(_row(case) for case in cases)
    charts = "".join(f"<h2>{_name(case)}</h2>{histogram(case)}" for case in cases)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1>"
        f"<table><tr>{heads}<th>max<th>extra load<th>extra calls that won<th>cancelled</tr>{rows}</table>{charts}"
        "<p>Time of a whole bootstrap: cluster id, location of hbase:meta, active master, by a client without history. "
        "The scale is logarithmic.</p></html>"
    )


def histogram(case: Case) -> str:
    """How many bootstraps took how long, as SVG."""
    counts = [0] * BARS
    for took_ms in case.took_ms:
        counts[_bar(took_ms)] += 1
    most = max(counts, default=0) or 1
    bars = "".join(
        f'<rect x="{index * BAR_WIDTH}" y="{CHART_HEIGHT - height:.1f}" width="{BAR_WIDTH - 1}" height="{height:.1f}">'
        f"<title>{count} up to {_ms(_upper_ms(index))}</title></rect>"
        for index, count in enumerate(counts)
        if (height := CHART_HEIGHT * math.sqrt(count / most)) > 0
    )
    marks = "".join(
        f'<text x="{_bar(mark_ms) * BAR_WIDTH}" y="{CHART_HEIGHT + 14}">{_ms(mark_ms)}</text>'
        for mark_ms in (0.1, 1, 10, 100, 1000, 10_000, 60_000)
    )
    return f'<svg viewBox="0 0 {BARS * BAR_WIDTH} {CHART_HEIGHT + 20}" role="img">{bars}{marks}</svg>'


def _row(case: Case) -> str:
    times = "".join(f"<td>{_ms(case.quantile_ms(quantile))}" for _, quantile in QUANTILES)
    return (
        f"<tr><td>{html.escape(case.policy)}<td>{case.hung}<td>{len(case.took_ms)}<td>{case.failed}{times}"
        f"<td>{_ms(max(case.took_ms, default=0.0))}<td>{case.extra_load_percent:+.1f} %"
        f"<td>{case.won}<td>{case.cancelled}</tr>"
    )


def _name(case: Case) -> str:
    return f"{html.escape(case.policy)}, {case.hung or 'none'} hung"


def _bar(took_ms: float) -> int:
    share = math.log(min(max(took_ms, MS_MIN), MS_MAX) / MS_MIN) / math.log(MS_MAX / MS_MIN)
    return min(BARS - 1, int(share * BARS))


def _upper_ms(index: int) -> float:
    return MS_MIN * (MS_MAX / MS_MIN) ** ((index + 1) / BARS)


def _ms(value_ms: float) -> str:
    if value_ms >= 1000:
        return f"{value_ms / 1000:.1f} s"
    return f"{value_ms:.1f} ms" if value_ms < 10 else f"{value_ms:.0f} ms"
