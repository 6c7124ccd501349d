"""The part of the page that is about the core, measured from C++."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bench.report.cells import row, spread, time_us


def micro(entries: Sequence[dict[str, Any]]) -> str:
    lines = [
        "### Single parts of the core",
        "",
        row(["", "ns an item"]),
        row(["---", "---:"]),
    ]
    for entry in sorted(entries, key=lambda one: (one["program"], _natural(one["name"]))):
        program = entry["program"].removesuffix("_bench")
        name = entry["name"].replace("/real_time", "").replace("/manual_time", "")
        lines.append(row([f"{program}: {name}", spread(entry["ns_per_item"], time_us)]))
    return "\n".join(lines)


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts row_bytes:64 before row_bytes:1024."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts]
