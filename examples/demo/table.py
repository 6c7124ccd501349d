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
    table.add_column("padding", justify="right")
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
                padding(one.engine.conclusion()),
                concluded(one.engine.conclusion()),
                end_section=i == len(measured) - 1,
            )
    return table


def formed(sizes: Mapping[int, int]) -> str:
    """Sizes and how often each was formed: "1 x4, 8 x20"."""
    return ", ".join(f"{size} x{count}" for size, count in sizes.items())


def padding(conclusion: Conclusion | None) -> str:
    """How much of what the model ran was padding by dynbatch; empty where rows have one shape."""
    if conclusion is None or not conclusion.elements:
        return ""
    run = conclusion.elements + conclusion.padded_elements
    return f"{conclusion.padded_elements / run:.1%}"


def concluded(conclusion: Conclusion | None) -> str:
    """The cap, and the measured times per row that led to it."""
    if conclusion is None:
        return ""
    per_row = {
        (size, n): 1e3 * seconds / n for (size, n), seconds in conclusion.seconds_by_gear.items()
    }
    pays = conclusion.cap > 1
    verdict = f"merges up to {conclusion.cap}" if pays else "batching does not pay"
    sizes = sorted({size for size, _ in per_row})
    if len(sizes) == 1:
        times = ", ".join(f"{n}: {ms:.2f}" for (_, n), ms in sorted(per_row.items()))
        return f"{verdict} (ms a row in batches of {times})"
    best = {size: min((ms, n) for (s, n), ms in per_row.items() if s == size) for size in sizes}
    times = ", ".join(f"{size}: {ms:.2f} in batches of {n}" for size, (ms, n) in best.items())
    return f"{verdict} (least ms a row at each size: {times})"
