"""The part of the page that is about kernels: bytes written each second."""

from __future__ import annotations

from typing import Any

from bench.report.cells import ratio, row, spread


def bytes_table(scenario: dict[str, Any]) -> str:
    """A row a contender."""
    by_name = {contender["name"]: contender for contender in scenario["contenders"]}
    gigabytes_per_row = scenario["notes"]["bytes_per_row"] / 1e9
    header = ["", "GB/s", *(f"times {name}" for name in scenario["baselines"])]
    lines = [row(header), row(["---"] + ["---:"] * (len(header) - 1))]
    for contender in scenario["contenders"]:
        speeds = [block["rows_per_second"] * gigabytes_per_row for block in contender["blocks"]]
        cells = [contender["name"], spread(speeds, "{:.2f}".format)]
        cells += [
            ratio(scenario["metric"], contender, by_name[name]) for name in scenario["baselines"]
        ]
        lines.append(row(cells))
    return "\n".join(lines)
