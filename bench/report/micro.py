"""The part of the page that is about the core, measured from C++, beside what is aimed at."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.report.cells import difference, ratio, row, spread, time_us

# Nanoseconds that a part is to cost at most.
PART_AIMS: Mapping[str, int] = {
    "request_queue: claim_copy_publish/row_bytes:64/threads:1": 20,
    "request_queue: claim_copy_publish/row_bytes:1024/threads:1": 40,
    "batcher: submit_while_busy/row_bytes:64": 80,
    "batcher: submit_while_busy/row_bytes:1024": 80,
}


@dataclass(frozen=True)
class Column:
    """A figure of each contender."""

    key: str
    header: str
    form: Callable[[float], str]


@dataclass(frozen=True)
class Comparison:
    """Each contender's figure beside the baseline's, turn by turn: divided, or subtracted.

    `aim` is what the first contender is to reach, by setting; None where nothing is asked for.
    """

    key: str
    baseline: str
    header: str
    aim: Callable[[str], str | None] = lambda _: None
    subtracts: bool = False


@dataclass(frozen=True)
class Table:
    title: str
    columns: Sequence[Column]
    comparisons: Sequence[Comparison]


def millions(value: float) -> str:
    return f"{value / 1e6:,.3g}"


def microseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _small_rows(setting: str) -> bool:
    return setting.startswith(("64 B", "1 KiB"))


P50 = Column("p50_us", "p50 us", microseconds)
P99 = Column("p99_us", "p99 us", microseconds)
TAIL = (
    P99,
    Column("p999_us", "p99.9 us", microseconds),
    Column("worst_us", "worst us", microseconds),
)
ROWS_A_BATCH = Column("rows_per_batch", "rows a batch", "{:.1f}".format)

TABLES: Mapping[str, Table] = {
    "throughput_paired": Table(
        "Requests through one worker, null executor",
        [
            Column("rows_per_second", "million rows/s", millions),
            Column("cpu_us_per_row", "CPU us a row", microseconds),
            ROWS_A_BATCH,
        ],
        [
            Comparison(
                "rows_per_second",
                "mutex batcher",
                "times mutex batcher",
                aim=lambda setting: "3" if _small_rows(setting) else "1",
            ),
            Comparison(
                "rows_per_second", "moodycamel batcher", "times moodycamel batcher", lambda _: "1"
            ),
        ],
    ),
    "tails_paired": Table(
        "Time of single requests, more producers than CPUs, null executor",
        [P50, *TAIL],
        [
            Comparison(column.key, "mutex batcher", f"{column.header}, of mutex batcher's")
            for column in TAIL
        ],
    ),
    "lone_paired": Table(
        "A lone blocking call from C++",
        [P50, *TAIL],
        [
            Comparison("p50_us", "bare run", "added p50 us", lambda _: "at most 0.4", True),
            Comparison("p99_us", "bare run", "added p99 us", lambda _: "at most 1", True),
        ],
    ),
    "gears_paired": Table(
        "A gear chosen and run from C++, another one each time",
        [P50, *TAIL],
        [
            Comparison("p50_us", "bare Run", "added p50 us", subtracts=True),
            Comparison("p99_us", "bare Run", "added p99 us", subtracts=True),
        ],
    ),
    "acl_paired": Table(
        "A gear set and executed through the C API, another one each time",
        [P50, *TAIL],
        [
            Comparison("p50_us", "bare Run", "added p50 us", subtracts=True),
            Comparison("p99_us", "bare Run", "added p99 us", subtracts=True),
        ],
    ),
    "workers_paired": Table(
        "Two workers against one",
        [
            Column("rows_per_second", "rows/s", "{:,.0f}".format),
            Column("cpu_us_per_row", "CPU us a row", microseconds),
            ROWS_A_BATCH,
        ],
        [
            Comparison("rows_per_second", "1 worker", "times 1 worker", lambda _: "1.9"),
            Comparison("rows_per_second", "by hand, 1 thread", "times 1 thread by hand"),
        ],
    ),
}


def micro(results: Mapping[str, Any]) -> str:
    """A table a paired program, then one of all single parts."""
    tables = [_paired(measured) for measured in results["paired"]]
    return "\n\n".join([*tables, _parts(results["parts"])])


def _paired(measured: Mapping[str, Any]) -> str:
    table = TABLES[measured["program"]]
    header = ["", "", *(c.header for c in table.columns), *(c.header for c in table.comparisons)]
    lines = [
        f"### {table.title}",
        "",
        row(header),
        row(["---", "---", *["---:"] * (len(header) - 2)]),
    ]
    for setting in measured["settings"]:
        by_name = {contender["name"]: contender for contender in setting["contenders"]}
        for index, contender in enumerate(setting["contenders"]):
            cells = ["" if index else setting["setting"], contender["name"]]
            cells += [_figure(column, contender["blocks"]) for column in table.columns]
            for comparison in table.comparisons:
                cell = _compared(comparison, contender, by_name[comparison.baseline])
                aim = None if index else comparison.aim(setting["setting"])
                cells.append(f"{cell}, aim {aim}" if aim else cell)
            lines.append(row(cells))
    blocks = measured["settings"][0]["contenders"][0]["blocks"]
    return "\n".join([*lines, "", f"{len(blocks)} blocks each."])


def _figure(column: Column, blocks: Sequence[Mapping[str, float]]) -> str:
    values = [block[column.key] for block in blocks if column.key in block]
    return spread(values, column.form) if values else ""


def _compared(comparison: Comparison, contender: dict[str, Any], baseline: dict[str, Any]) -> str:
    compare = difference if comparison.subtracts else ratio
    return compare(comparison.key, contender, baseline)


def _parts(entries: Sequence[Mapping[str, Any]]) -> str:
    lines = [
        "### Single parts of the core",
        "",
        row(["", "ns an item", "aim"]),
        row(["---", "---:", "---:"]),
    ]
    for entry in sorted(entries, key=lambda one: (one["program"], _natural(one["name"]))):
        name = re.sub(r"/(real_time|manual_time|iterations:\d+)", "", entry["name"])
        name = f"{entry['program'].removesuffix('_bench')}: {name}"
        aim = f"at most {PART_AIMS[name]}" if name in PART_AIMS else ""
        lines.append(row([name, spread(entry["ns_per_item"], time_us), aim]))
    return "\n".join(lines)


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts row_bytes:64 before row_bytes:1024."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts]
