"""Markdown from results: a table a question, medians with their spread, ratios block by block."""

from __future__ import annotations

import re
import statistics
from collections.abc import Collection, Sequence
from typing import Any

FORMAT = 2  # of the results that a page is made of
HEADING = "## Figures"
# Above this share of CPU time taken by others, figures are called disturbed.
QUIET = 0.05


def page(results: dict[str, Any]) -> str:
    """The whole page."""
    check_format(results)
    parts = [_heading(results)]
    parts += [_scenario(scenario) for scenario in results["scenarios"]]
    if results["micro"]:
        parts.append(_micro(results["micro"]))
    return "\n\n".join(parts) + "\n"


def check_format(results: dict[str, Any]) -> None:
    """Raises ValueError for results of another format."""
    if results["format"] != FORMAT:
        raise ValueError(f"results: expected the format {FORMAT}, got {results['format']}")


def foreign_shares(results: dict[str, Any]) -> list[float]:
    """The share of CPU time that others took, of every block."""
    return [
        block["foreign_cpu"]
        for scenario in results["scenarios"]
        for contender in scenario["contenders"]
        for block in contender["blocks"]
    ]


def machine_of(results: dict[str, Any]) -> str:
    machine = results["machine"]
    virtual = " (virtual machine)" if machine["virtual"] else ""
    return f"{machine['cpus']} CPUs of {machine['cpu']}{virtual}"


def caveats(results: dict[str, Any]) -> list[str]:
    """Why the figures are not final; nothing if they may be."""
    found = []
    if results["quick"]:
        found.append("**A quick run: too short for figures to be relied on.**")
    shares = foreign_shares(results)
    if shares and statistics.median(shares) > QUIET:
        found.append("**The machine was not quiet: these figures are not final.**")
    return found


def table(scenario: dict[str, Any], shown: Collection[str] | None = None) -> str:
    """A row a contender, of all or of those `shown`."""
    baselines: Sequence[str] = scenario["baselines"]
    by_name = {contender["name"]: contender for contender in scenario["contenders"]}
    inverse = scenario["metric"].endswith("_us")
    wording = "time of" if inverse else "times"
    header = [
        "",
        "rows/s",
        *(f"{wording} {name}" for name in baselines),
        "p50 us",
        "p99 us",
        "CPU us a row",
        "rows a batch",
    ]
    lines = [_row(header), _row(["---"] + ["---:"] * (len(header) - 1))]
    for contender in scenario["contenders"]:
        if shown is not None and contender["name"] not in shown:
            continue
        blocks = contender["blocks"]
        cells = [contender["name"], _spread([b["rows_per_second"] for b in blocks], rate)]
        cells += [_ratio(scenario["metric"], contender, by_name[name]) for name in baselines]
        cells += [_spread([b[key] for b in blocks], time_us) for key in ("p50_us", "p99_us")]
        cells.append(time_us(statistics.median(b["cpu_us_per_row"] for b in blocks)))
        batches = [b["rows_per_batch"] for b in blocks if "rows_per_batch" in b]
        cells.append(f"{statistics.median(batches):.1f}" if batches else "")
        lines.append(_row(cells))
    return "\n".join(lines)


def _heading(results: dict[str, Any]) -> str:
    machine = results["machine"]
    parts = [
        HEADING,
        f"{machine_of(results)}, {machine['memory_gib']} GiB, "
        f"Linux {machine['kernel']}; Python {machine['python']}, dynbatch {machine['dynbatch']}, "
        f"ONNX Runtime {machine['onnxruntime']}, NumPy {machine['numpy']}. "
        f"Taken {results['started']}.",
        "Figures are medians of interleaved blocks, with [lowest..highest]. Ratios are medians of "
        "the ratios of blocks taken in the same turn.",
    ]
    if results["left_out"]:
        parts.append(f"**Not all of it: {', '.join(results['left_out'])} were left out.**")
    shares = foreign_shares(results)
    if shares:
        parts.append(
            f"Other programs took {statistics.median(shares):.0%} of the CPU time (median of all "
            f"blocks), at worst {max(shares):.0%}."
        )
    return "\n\n".join(parts + caveats(results))


def _scenario(scenario: dict[str, Any]) -> str:
    parts = [f"### {scenario['title']}", table(scenario)]
    if scenario["qualification"]:
        parts.append(_qualification(scenario))
    blocks = len(scenario["contenders"][0]["blocks"])
    checked = sum(b["checked"] for c in scenario["contenders"] for b in c["blocks"])
    parts.append(
        f"{blocks} blocks of {scenario['seconds_per_block']:.2g} s; {checked} answers checked."
    )
    if "cap" in scenario["notes"]:
        times = scenario["notes"]["seconds_by_gear"]
        per_row = ", ".join(
            f"{size}: {1e6 * seconds / int(size):,.0f}" for size, seconds in times.items()
        )
        parts[-1] += (
            f" dynbatch forms batches of up to {scenario['notes']['cap']}; measured at load, in us "
            f"a row by batch size: {per_row}. Loading took "
            f"{scenario['notes']['load_seconds']:.1f} s."
        )
    return "\n\n".join(parts)


def _qualification(scenario: dict[str, Any]) -> str:
    asked = scenario["qualification"]
    rates = {
        contender["name"]: [block["rows_per_second"] for block in contender["blocks"]]
        for contender in scenario["contenders"]
    }
    pairs = zip(rates[asked["peer"]], rates[asked["ideal"]], strict=True)
    share = statistics.median(peer / ideal for peer, ideal in pairs)
    return (
        f"Peer qualifies: {'yes' if share >= asked['least_share'] else '**no**'}. "
        f"The {asked['peer']}, reaches {share:.3f} of the {asked['ideal']}; "
        f"{asked['least_share']:.2f} are asked for."
    )


def _micro(entries: Sequence[dict[str, Any]]) -> str:
    lines = [
        "### Single parts of the core",
        "",
        _row(["", "ns an item"]),
        _row(["---", "---:"]),
    ]
    for entry in sorted(entries, key=lambda one: (one["program"], _natural(one["name"]))):
        program = entry["program"].removesuffix("_bench")
        name = entry["name"].replace("/real_time", "").replace("/manual_time", "")
        lines.append(_row([f"{program}: {name}", _spread(entry["ns_per_item"], time_us)]))
    return "\n".join(lines)


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts row_bytes:64 before row_bytes:1024."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _ratio(metric: str, contender: dict[str, Any], baseline: dict[str, Any]) -> str:
    if contender is baseline:
        return "1"
    ratios = [
        ours[metric] / theirs[metric]
        for ours, theirs in zip(contender["blocks"], baseline["blocks"], strict=True)
    ]
    return _spread(ratios, lambda value: f"{value:.2f}")


def _spread(values: Sequence[float], form: Any) -> str:
    return f"{form(statistics.median(values))} [{form(min(values))}..{form(max(values))}]"


def rate(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def time_us(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
