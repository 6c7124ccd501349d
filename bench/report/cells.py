"""Cells and rows of tables: medians with their spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any


def row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def ratio(metric: str, contender: dict[str, Any], baseline: dict[str, Any]) -> str:
    """Of blocks of the same turn."""
    if contender is baseline:
        return "1"
    ratios = [
        ours[metric] / theirs[metric]
        for ours, theirs in zip(contender["blocks"], baseline["blocks"], strict=True)
    ]
    return spread(ratios, lambda value: f"{value:.2f}")


def difference(metric: str, contender: dict[str, Any], baseline: dict[str, Any]) -> str:
    """Of blocks of the same turn."""
    if contender is baseline:
        return "0"
    differences = [
        ours[metric] - theirs[metric]
        for ours, theirs in zip(contender["blocks"], baseline["blocks"], strict=True)
    ]
    return spread(differences, "{:.2f}".format)


def spread(values: Sequence[float], form: Any) -> str:
    return f"{form(statistics.median(values))} [{form(min(values))}..{form(max(values))}]"


def rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def time_us(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
