"""Contenders measured in turns, so that a machine that is slow for a while is slow for all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from bench.load.contenders import Contender

WARM_UP_SECONDS = 0.1

Progress = Callable[[str], None]


class ContenderError(RuntimeError):
    """A contender failed, or answered wrongly; the cause is chained."""


@dataclasses.dataclass(frozen=True)
class Qualification:
    """Figures beside a peer count only if it reaches this share of the ideal line's rate."""

    peer: str
    least_share: float
    ideal: str


@dataclasses.dataclass(frozen=True)
class Aim:
    """What is asked of a contender's ratio to the best of some baselines, in the median of turns.

    Rates are to be at least `asked`, times ("..._us") at most; `hoped` is what would be better yet.
    """

    contender: str
    baselines: Sequence[str]
    asked: float
    hoped: float | None = None
    metric: str = "rows_per_second"


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One question, and those who are compared on it.

    `baselines` are the contenders that the others are divided by, by name; `metric` is what is
    divided: "rows_per_second" for crowds, "p50_us" for lone callers.
    """

    name: str
    title: str
    contenders: Sequence[Contender]
    baselines: Sequence[str]
    metric: str = "rows_per_second"
    qualification: Qualification | None = None
    aims: Sequence[Aim] = ()
    notes: dict[str, Any] = dataclasses.field(default_factory=dict)


def measure(scenario: Scenario, blocks: int, seconds: float, progress: Progress) -> dict[str, Any]:
    """The scenario's part of the results: each contender's blocks, taken in rotating order."""
    contenders = scenario.contenders
    named = {*scenario.baselines}
    for aim in scenario.aims:
        named |= {aim.contender, *aim.baselines}
    unknown = named - {contender.name for contender in contenders}
    if unknown:
        raise ValueError(f"{scenario.name}: no contender is named {', '.join(sorted(unknown))}")
    taken: list[list[dict[str, Any]]] = [[] for _ in contenders]
    for contender in contenders:
        _block(scenario, contender, WARM_UP_SECONDS)
    for turn in range(blocks):
        progress(f"{scenario.title}: block {turn + 1} of {blocks}")
        for i in range(len(contenders)):
            index = (turn + i) % len(contenders)
            block = _block(scenario, contenders[index], seconds)
            taken[index].append({"turn": turn, **block})
    return {
        "name": scenario.name,
        "title": scenario.title,
        "metric": scenario.metric,
        "baselines": list(scenario.baselines),
        "qualification": scenario.qualification and dataclasses.asdict(scenario.qualification),
        "aims": [dataclasses.asdict(aim) for aim in scenario.aims],
        "seconds_per_block": seconds,
        "notes": scenario.notes,
        "contenders": [
            {"name": contender.name, "callers": contender.callers, "blocks": blocks_of}
            for contender, blocks_of in zip(contenders, taken, strict=True)
        ],
    }


def _block(scenario: Scenario, contender: Contender, seconds: float) -> dict[str, Any]:
    batches, rows = contender.batches()
    elements, padding = contender.elements()
    try:
        measured = dataclasses.asdict(contender.measure(seconds))
    except Exception as error:
        raise ContenderError(f"{scenario.name}: {contender.name}: {error}") from error
    block = {key: value for key, value in measured.items() if value is not None}
    batches_after, rows_after = contender.batches()
    if batches_after > batches:
        block["rows_per_batch"] = (rows_after - rows) / (batches_after - batches)
    elements_after, padding_after = contender.elements()
    if elements_after > elements:
        block["padding"] = (padding_after - padding) / (elements_after - elements)
    return block
