"""What is aimed at, beside what was measured: one table of all ratios that have an aim."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bench.report.cells import row, spread

# Of the resident bytes with the largest gear alone, and of those in gear 1 before.
MOST_FOR_ALL_GEARS = 1.05
MOST_AFTER_GOING_DOWN = 1.10
PLAN_WITHIN = 0.10


@dataclass(frozen=True)
class Judged:
    """One ratio of each block, and what its median should be."""

    title: str
    what: str
    ratios: tuple[float, ...]
    asked: float
    hoped: float | None
    at_least: bool

    @property
    def holds(self) -> bool:
        """Whether the median is what is asked."""
        median = statistics.median(self.ratios)
        return median >= self.asked if self.at_least else median <= self.asked

    def aim(self) -> str:
        """For the cell beside the figure."""
        hoped = "" if self.hoped is None else f", better {self.hoped:g}"
        return f"{'' if self.at_least else 'at most '}{self.asked:g}{hoped}"


def judged(results: Mapping[str, Any]) -> Iterator[Judged]:
    """All ratios that have an aim, in the order of the page."""
    for scenario in results["scenarios"]:
        for aim in scenario["aims"]:
            yield of_scenario(scenario, aim)
    for entry in results["memory"]:
        yield from of_memory(entry)
    for entry in results["gear_memory"]:
        yield of_gear_memory(entry)


def of_scenario(scenario: Mapping[str, Any], aim: Mapping[str, Any]) -> Judged:
    """A contender's ratio to the best of the aim's baselines in the same turn."""
    at_least = not aim["metric"].endswith("_us")
    values = {
        contender["name"]: [block[aim["metric"]] for block in contender["blocks"]]
        for contender in scenario["contenders"]
    }
    measured = "rate" if at_least else aim["metric"].removesuffix("_us")
    best = max if at_least else min
    theirs = map(best, zip(*(values[name] for name in aim["baselines"]), strict=True))
    ratios = tuple(a / b for a, b in zip(values[aim["contender"]], theirs, strict=True))
    return Judged(
        title=scenario["title"],
        what=f"{aim['contender']}, {measured} to {' or '.join(aim['baselines'])}",
        ratios=ratios,
        asked=aim["asked"],
        hoped=aim["hoped"],
        at_least=at_least,
    )


def of_memory(entry: Mapping[str, Any]) -> Iterator[Judged]:
    """Ratios of resident bytes."""
    title = f"Memory, {entry['model']}"
    all_gears, alone = entry["all"], entry["alone"]
    pairs = zip(all_gears, alone, strict=True)
    yield Judged(
        title,
        f"all gears to {entry['largest']} alone, in the largest gear",
        tuple(a["largest gear"] / b["largest gear"] for a, b in pairs),
        MOST_FOR_ALL_GEARS,
        None,
        at_least=False,
    )
    yield Judged(
        title,
        "gear 1 again to gear 1 before",
        tuple(a["gear 1 again"] / a["gear 1"] for a in all_gears),
        MOST_AFTER_GOING_DOWN,
        None,
        at_least=False,
    )
    plan = entry["plan"]
    yield Judged(
        title,
        "resident part of the plan, all blocks used",
        (plan["resident"] / plan["planned"],),
        1 - PLAN_WITHIN,
        None,
        at_least=True,
    )


def of_gear_memory(entry: Mapping[str, Any]) -> Judged:
    """The ratio of resident bytes once every compiled gear has run."""
    pairs = zip(entry["all"], entry["alone"], strict=True)
    return Judged(
        f"Memory, {entry['model']} with compiled gears",
        f"all {len(entry['gears'])} to {entry['gears'][-1]} alone, in the largest gear",
        tuple(a["largest gear"] / b["largest gear"] for a, b in pairs),
        MOST_FOR_ALL_GEARS,
        None,
        at_least=False,
    )


def aims_table(results: Mapping[str, Any]) -> str:
    """All ratios that have an aim, or nothing if there are none."""
    lines = [
        row([each.title, each.what, spread(each.ratios, "{:.2f}".format), each.aim(), _held(each)])
        for each in judged(results)
    ]
    if not lines:
        return ""
    header = [
        row(["", "ratio", "measured", "aim", "reached"]),
        row(["---", "---", "---:", "---:", "---"]),
    ]
    return "\n".join(["### What is aimed at", "", *header, *lines])


def _held(each: Judged) -> str:
    return "yes" if each.holds else "**no**"
