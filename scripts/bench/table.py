"""The table in Markdown: medians, ranges, ratios, and what kobel aims at."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Peer:
    """Who kobel is held against: its figures' key, its column's title, its name in ratios, and in aims."""

    key: str
    title: str
    short: str
    whose: str


@dataclass(frozen=True)
class Row:
    """What a row says, the figure, its unit, and the most that kobel's may be: of a peer's figure, and in the
    row's own unit; or the least."""

    title: str
    key: str
    unit: str = "s"
    of: dict[str, float] = field(default_factory=dict)
    most: float | None = None
    least: float | None = None


def cell(rounds, row):
    """Median, and it with the range as text."""
    values = [one[row.key] for one in rounds if row.key in one]
    if not values:
        return None, "–"
    form = {"MB": ".1f", "": "g"}.get(row.unit, ".2f")
    median, low, high = (f"{v:{form}}" for v in (statistics.median(values), min(values), max(values)))
    return statistics.median(values), f"{median} {row.unit}".rstrip() + f" ({low}–{high})"


def ratio(own, base):
    """A ratio as text; none to what is next to nothing."""
    return f"{own / base:.2f}" if own is not None and base and own / base < 1000 else "–"


def aim(row, own, medians, peers):
    """What kobel aims at in this row, and whether it is met."""
    if own is None:
        return ""
    aims = [
        (own <= row.of[peer.key] * medians[peer.key], f"≤ {row.of[peer.key]:.2f} of {peer.whose}")
        for peer in peers if peer.key in row.of
    ]
    if row.most is not None:
        aims.append((own <= row.most, f"≤ {row.most:g} {row.unit}".rstrip()))
    if row.least is not None:
        aims.append((own >= row.least, f"≥ {row.least:g} {row.unit}".rstrip()))
    return ", ".join(f"{'met' if met else '**missed**'}: {words}" for met, words in aims)


def table(figures, peers, rows):
    """All rows: the first peer, kobel beside it, then the other peers."""
    first, *others = peers
    titles = [first.title, "kobel", f"kobel : {first.short}"]
    for peer in others:
        titles += [peer.title, f"kobel : {peer.short}"]
    titles = ["median (range)", *titles, "aim"]
    lines = [titles, ["---"] * len(titles)]
    for row in rows:
        cells = {name: cell(rounds, row) for name, rounds in figures.items()}
        medians = {name: median for name, (median, _) in cells.items()}
        own, own_text = cells["kobel"]
        line = [cells[first.key][1], own_text, ratio(own, medians[first.key])]
        for peer in others:
            line += [cells[peer.key][1], ratio(own, medians[peer.key])]
        lines.append([row.title, *line, aim(row, own, medians, peers)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
