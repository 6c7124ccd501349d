"""The part of the page that is about gears compiled into a model: times, calls and memory."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from bench.report.cells import difference, ratio, row, spread, time_us
from bench.report.memory import mib

STAGES = ("loaded", "largest gear")


def is_of_gears(scenario: Mapping[str, Any]) -> bool:
    """Whether a scenario is shown in this part."""
    return "gear" in scenario["notes"] or "gears" in scenario["notes"]


def gears(results: Mapping[str, Any]) -> str:
    """What there is of it, under one heading; nothing if there is nothing."""
    scenarios = results["scenarios"]
    times = [scenario for scenario in scenarios if "gear" in scenario["notes"]]
    parts = [_times(times)] if times else []
    parts += [_calls(scenario) for scenario in scenarios if "gears" in scenario["notes"]]
    if results["gear_memory"]:
        parts.append(_memory(results["gear_memory"]))
    return "\n\n".join(["### Gears compiled into a model", *parts]) if parts else ""


def _times(scenarios: Sequence[dict[str, Any]]) -> str:
    """A row a gear: the baseline's time of a batch, and the others' ratios to it.

    CPU time tells more than time does where other programs took their part.
    """
    names = [contender["name"] for contender in scenarios[0]["contenders"]]
    (baseline,) = scenarios[0]["baselines"]
    others = [name for name in names if name != baseline]
    header = ["", "gear", f"{baseline}, us"]
    header += [cell for name in others for cell in (f"{name}, times that", "CPU time")]
    header.append("other programs")
    lines = [row(header), row(["---", "---:", *["---:"] * (len(header) - 2)])]
    for scenario in scenarios:
        by_name = {contender["name"]: contender for contender in scenario["contenders"]}
        cells = [scenario["notes"]["model"], scenario["notes"]["gear"]]
        cells.append(_p50(by_name[baseline]))
        for name in others:
            cells += [
                ratio(metric, by_name[name], by_name[baseline])
                for metric in ("p50_us", "cpu_us_per_row")
            ]
        foreign = [b["foreign_cpu"] for c in scenario["contenders"] for b in c["blocks"]]
        lines.append(row([*cells, f"{statistics.median(foreign):.0%}"]))
    return "\n".join([*lines, "", f"{_blocks(scenarios)} Times are p50, of a batch."])


def _calls(scenario: dict[str, Any]) -> str:
    """A row a contender: its time, and what that is more than each baseline's."""
    by_name = {contender["name"]: contender for contender in scenario["contenders"]}
    header = ["", "p50 us", "p99 us"]
    header += [f"added to {name}, p50 us" for name in scenario["baselines"]]
    lines = [row(header), row(["---"] + ["---:"] * (len(header) - 1))]
    for contender in scenario["contenders"]:
        cells = [contender["name"], _p50(contender)]
        cells.append(spread([block["p99_us"] for block in contender["blocks"]], time_us))
        cells += [difference("p50_us", contender, by_name[name]) for name in scenario["baselines"]]
        lines.append(row(cells))
    return "\n".join([f"{scenario['title']}:", "", *lines, "", _blocks([scenario])])


def _memory(entries: Sequence[Mapping[str, Any]]) -> str:
    """A row a model and set of gears: bytes that loading and running it added to the process."""
    header = ["", "gears", *(f"{stage}, MiB" for stage in STAGES)]
    lines = [row(header), row(["---", "---", *["---:"] * len(STAGES)])]
    for entry in entries:
        for what in ("all", "alone"):
            names = ", ".join(entry["gears"]) if what == "all" else f"{entry['gears'][-1]} alone"
            cells = [entry["model"] if what == "all" else "", names]
            cells += [spread([one[stage] for one in entry[what]], mib) for stage in STAGES]
            lines.append(row(cells))
    repeats = len(entries[0]["all"])
    return "\n".join(["Resident memory:", "", *lines, "", f"{repeats} processes each, in turns."])


def _p50(contender: Mapping[str, Any]) -> str:
    return spread([block["p50_us"] for block in contender["blocks"]], time_us)


def _blocks(scenarios: Sequence[Mapping[str, Any]]) -> str:
    """Of those that have fewest."""
    least = min(len(scenario["contenders"][0]["blocks"]) for scenario in scenarios)
    return f"At least {least} blocks of {scenarios[0]['seconds_per_block']:.2g} s each."
