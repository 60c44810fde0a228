"""The race for people: a table that grows in the terminal, and one HTML file with a histogram of each case."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence

from rich.table import Table

from registry.race.cases import QUANTILES, Case
from registry.race.running import Results

BARS = 60
BAR_WIDTH, CHART_HEIGHT = 10, 120
HEADINGS = ("policy", "servers", "bootstraps", "failed", "p50", "p90", "p99", "p99.9")
MS_MIN, MS_MAX = 0.1, 120_000.0
"""The histograms' logarithmic scale: from a fast answer on loopback to two minutes."""

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color-scheme:light dark}
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .7rem;text-align:right;border-bottom:1px solid #8884}
th:nth-child(-n+2),td:nth-child(-n+2){text-align:left}svg{width:100%;height:auto}rect{fill:#2f6fb3}text{font-size:11px;fill:currentColor}
h2{margin-top:2.5rem}
"""


def table(cases: Sequence[Case], title: str) -> Table:
    """Numbers of all cases so far."""
    made = Table(title=title, title_justify="left")
    for heading in (*HEADINGS, "max", "extra load"):
        made.add_column(heading, justify="left" if heading in HEADINGS[:2] else "right")
    for case in cases:
        times = [_ms(case.quantile_ms(quantile)) for _, quantile in QUANTILES]
        made.add_row(
            case.policy, str(case.condition), str(len(case.took_ms)), str(case.failed), *times, _ms(case.max_ms),
            _extra(case),
        )  # fmt: skip
    return made


def page(results: Results, title: str) -> str:
    """One HTML document that needs nothing else."""
    heads = "".join(f"<th>{head}" for head in HEADINGS)
    rows = "".join(_row(case) for case in results.cases)
    charts = "".join(f"<h2>{html.escape(str(case))}</h2>{histogram(case)}" for case in results.cases)
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in results.notes)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<link rel="icon" href="data:,">'  # else browsers ask for one beside the file
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1>"
        f"<table><tr>{heads}<th>max<th>extra load<th>extra calls that won<th>cancelled</tr>{rows}</table>"
        f"{notes}{charts}"
        "<p>Time of a whole bootstrap by a client without history: cluster id, location of hbase:meta, active master. "
        "Of a Java client: ConnectionFactory.createConnection and the location of hbase:meta. "
        "The scale of time is logarithmic, that of counts the square root.</p></html>"
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
        f"<tr><td>{html.escape(case.policy)}<td>{case.condition}<td>{len(case.took_ms)}<td>{case.failed}{times}"
        f"<td>{_ms(case.max_ms)}<td>{_extra(case)}"
        f"<td>{case.won if case.is_counted else ''}<td>{case.cancelled if case.is_counted else ''}</tr>"
    )


def _extra(case: Case) -> str:
    return f"{case.extra_load_percent:+.1f} %" if case.is_counted else ""


def _bar(took_ms: float) -> int:
    share = math.log(min(max(took_ms, MS_MIN), MS_MAX) / MS_MIN) / math.log(MS_MAX / MS_MIN)
    return min(BARS - 1, int(share * BARS))


def _upper_ms(index: int) -> float:
    return MS_MIN * (MS_MAX / MS_MIN) ** ((index + 1) / BARS)


def _ms(value_ms: float) -> str:
    if value_ms >= 1000:
        return f"{value_ms / 1000:.1f} s"
    return f"{value_ms:.1f} ms" if value_ms < 10 else f"{value_ms:.0f} ms"
