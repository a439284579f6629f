"""The table in Markdown: medians, ranges, ratios, and what kobel aims at."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What a row says, the figure, its unit, and the most that kobel's may be: of the scripts' figure,
    of the bare JVMs', and in the row's own unit."""

    title: str
    key: str
    unit: str = "s"
    of_scripts: float | None = None
    of_bare: float | None = None
    most: float | None = None


ROWS = [
    Row("start until a TaskManager is registered", "start", of_scripts=0.3, of_bare=1.15),
    Row("the same, and the command is back", "start returns"),
    Row("a session's first `run` of WordCount, less the job's own time", "run", of_scripts=1 / 6),
    Row("its second `run`, less the job's own time", "again", of_scripts=1 / 6),
    Row("that first job's own time", "run job"),
    Row("a long job's own time, first in its session", "long job"),
    Row("the same again, with warm JVMs: the steady speed", "long again job", of_scripts=1.05),
    Row("stop until nothing is left", "stop", of_scripts=0.1),
    Row("client CPU of start", "start cpu", most=0.1),
    Row("client CPU of run", "run cpu", most=0.1),
    Row("client CPU of stop", "stop cpu", most=0.1),
    Row("client memory (peak resident) of start", "start memory", "MB"),
    Row("client memory (peak resident) of run", "run memory", "MB"),
    Row("agent memory (peak resident)", "agent memory", "MB", most=20),
]


def cell(rounds, row):
    """Median, and it with the range as text."""
    values = [one[row.key] for one in rounds if row.key in one]
    if not values:
        return None, "–"
    digits = 1 if row.unit == "MB" else 2
    median, low, high = (f"{v:.{digits}f}" for v in (statistics.median(values), min(values), max(values)))
    return statistics.median(values), f"{median} {row.unit} ({low}–{high})"


def ratio(own, base):
    """A ratio as text."""
    return f"{own / base:.2f}" if base else "–"


def aim(row, own, peer, floor):
    """What kobel aims at in this row, and whether it is met."""
    aims = [
        (row.of_scripts, peer, lambda limit: f"{limit:.2f} of the scripts'"),
        (row.of_bare, floor, lambda limit: f"{limit:.2f} of bare"),
        (row.most, 1, lambda limit: f"{limit:g} {row.unit}"),
    ]
    return ", ".join(
        f"{'met' if own <= limit * base else '**missed**'}: ≤ {words(limit)}"
        for limit, base, words in aims
        if limit is not None
    )


def table(figures):
    """All rows."""
    lines = [
        "| median (range) | Flink's scripts | kobel | kobel : scripts | bare JVMs | kobel : bare | aim |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        (peer, peer_text), (own, own_text), (floor, floor_text) = (
            cell(figures[name], row) for name in ["scripts", "kobel", "bare"]
        )
        ratios = ratio(own, peer), ratio(own, floor)
        lines.append(
            f"| {row.title} | {peer_text} | {own_text} | {ratios[0]} | {floor_text} | {ratios[1]} "
            f"| {aim(row, own, peer, floor)} |"
        )
    return "\n".join(lines)
