"""A few rows of the page for other pages, between two comments that say which benchmarks they show:

<!-- figures: mlp_coroutines mlp_lone -->
<!-- /figures -->
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from bench.report.page import caveats, check_format, machine_of, table

MARKED = re.compile(
    r"(?P<begin><!-- figures: (?P<names>[\w ]+) -->\n).*?(?P<end><!-- /figures -->)", re.DOTALL
)
# Each execution with its defaults; what they are divided by is shown, too.
SHOWN = ("dynbatch", "dynbatch, python execution")


def excerpt(results: dict[str, Any], names: Sequence[str]) -> str:
    """The rows of each execution and its baselines; raises ValueError if they are not there."""
    check_format(results)
    scenarios = {scenario["name"]: scenario for scenario in results["scenarios"]}
    if missing := [name for name in names if name not in scenarios]:
        raise ValueError(f"results: nothing is there of {', '.join(missing)}")
    parts = [
        f"{machine_of(results)}; medians of interleaved blocks, with [lowest..highest].",
        *caveats(results),
    ]
    for name in names:
        scenario = scenarios[name]
        parts += [f"{scenario['title']}:", table(scenario, {*SHOWN, *scenario["baselines"]})]
    return "\n\n".join(parts)


def with_excerpts(text: str, results: dict[str, Any]) -> str:
    """The text with fresh figures between its comments."""
    return MARKED.sub(
        lambda found: (
            found["begin"] + excerpt(results, found["names"].split()) + "\n" + found["end"]
        ),
        text,
    )
