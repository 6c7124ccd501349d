"""The part of the page that is about resident memory."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.report.cells import row, spread

MIB = 2**20
STAGES = ("loaded", "gear 1", "largest gear", "gear 1 again")


def mib(value: float) -> str:
    return f"{value / MIB:,.1f}"


def memory(entries: Sequence[Mapping[str, Any]]) -> str:
    """A row a model and set of gears: bytes that loading and running it added to the process."""
    header = ["", "gears", *(f"{stage}, MiB" for stage in STAGES), "plan, MiB", "resident of it"]
    lines = [
        "### Resident memory",
        "",
        row(header),
        row(["---", "---", *["---:"] * (len(header) - 2)]),
    ]
    for entry in entries:
        plan = entry["plan"]
        for what in ("all", "alone"):
            name = f"up to {entry['largest']}" if what == "all" else f"{entry['largest']} alone"
            cells = [entry["model"] if what == "all" else "", name]
            cells += [spread([one[stage] for one in entry[what]], mib) for stage in STAGES]
            cells += [mib(plan["planned"]), mib(plan["resident"])] if what == "all" else ["", ""]
            lines.append(row(cells))
    repeats = statistics.mode(len(entry["all"]) for entry in entries)
    note = f"{repeats} processes each. The plan is that of the memory in which rows wait and run."
    return "\n".join([*lines, "", note])
