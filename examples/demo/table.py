"""One table of all models and all ways to run them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from engines import Conclusion
from measure import Measured


def results_table(results: Mapping[str, list[Measured[Any]]]) -> Table:
    table = Table(title="The same requests, three ways", title_justify="left")
    table.add_column("model")
    table.add_column("way")
    for heading in ("callers", "load s", "rows/s", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="right")
    table.add_column("batches formed")
    table.add_column("what dynbatch concluded at load")
    for model, measured in results.items():
        for i, one in enumerate(measured):
            table.add_row(
                model if i == 0 else "",
                one.engine.label,
                str(one.callers),
                f"{one.engine.load_seconds:.1f}",
                f"{one.timing.rows_per_second:.1f}",
                f"{one.timing.quantile_ms(0.5):.1f}",
                f"{one.timing.quantile_ms(0.99):.1f}",
                formed(one.sizes),
                concluded(one.engine.conclusion()),
                end_section=i == len(measured) - 1,
            )
    return table


def formed(sizes: Mapping[int, int]) -> str:
    """Sizes and how often each was formed: "1 x4, 8 x20"."""
    return ", ".join(f"{size} x{count}" for size, count in sizes.items())


def concluded(conclusion: Conclusion | None) -> str:
    """The cap, and the measured times per row that led to it."""
    if conclusion is None:
        return ""
    per_row = {n: 1e3 * s / n for n, s in sorted(conclusion.seconds_by_gear.items())}
    times = ", ".join(f"{n}: {ms:.2f}" for n, ms in per_row.items())
    pays = conclusion.cap > 1
    verdict = f"merges up to {conclusion.cap}" if pays else "batching does not pay"
    return f"{verdict} (ms a row in batches of {times})"
