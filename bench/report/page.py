"""Markdown from results: a table a question, medians with their spread, ratios block by block."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bench.report.aims import aims_table, of_scenario
from bench.report.cells import rate, ratio, row, spread, time_us
from bench.report.gears import gears, is_of_gears
from bench.report.kernels import bytes_table
from bench.report.memory import memory
from bench.report.micro import micro

FORMAT = 4  # of the results that a page is made of
HEADING = "## Figures"
# Above this share of CPU time taken by others, figures are called disturbed.
QUIET = 0.05


def page(results: dict[str, Any], pictures: Mapping[str, str] | None = None) -> str:
    """The whole page; `pictures` are links by the caption of what they show."""
    check_format(results)
    parts = [_heading(results), aims_table(results)]
    parts += [f"![{caption}]({link})" for caption, link in (pictures or {}).items()]
    parts += [_scenario(each) for each in results["scenarios"] if not is_of_gears(each)]
    parts.append(gears(results))
    if results["memory"]:
        parts.append(memory(results["memory"]))
    if results["micro"]:
        parts.append(micro(results["micro"]))
    return "\n\n".join(part for part in parts if part) + "\n"


def check_format(results: dict[str, Any]) -> None:
    """Raises ValueError for results of another format."""
    if results["format"] != FORMAT:
        raise ValueError(f"results: expected the format {FORMAT}, got {results['format']}")


def foreign_shares(results: dict[str, Any]) -> list[float]:
    """The share of CPU time that others took, of every block."""
    compared = list(results["scenarios"])
    if results["micro"]:
        compared += [each for program in results["micro"]["paired"] for each in program["settings"]]
    return [
        block["foreign_cpu"]
        for each in compared
        for contender in each["contenders"]
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
    pads = any("padding" in b for c in scenario["contenders"] for b in c["blocks"])
    if pads:
        header.append("padding")
    busy = "busy_kept" in scenario["contenders"][0]["blocks"][0]
    if busy:
        header.append("the busy thread keeps")
    lines = [row(header), row(["---"] + ["---:"] * (len(header) - 1))]
    for contender in scenario["contenders"]:
        if shown is not None and contender["name"] not in shown:
            continue
        blocks = contender["blocks"]
        cells = [contender["name"], spread([b["rows_per_second"] for b in blocks], rate)]
        cells += [
            ratio(scenario["metric"], contender, by_name[name]) + _aim(scenario, contender, name)
            for name in baselines
        ]
        cells += [spread([b[key] for b in blocks], time_us) for key in ("p50_us", "p99_us")]
        cells.append(time_us(statistics.median(b["cpu_us_per_row"] for b in blocks)))
        batches = [b["rows_per_batch"] for b in blocks if "rows_per_batch" in b]
        cells.append(f"{statistics.median(batches):.1f}" if batches else "")
        if pads:
            padding = [b["padding"] for b in blocks if "padding" in b]
            cells.append(spread(padding, "{:.0%}".format) if padding else "")
        if busy:
            cells.append(spread([b["busy_kept"] for b in blocks], "{:.0%}".format))
        lines.append(row(cells))
    return "\n".join(lines)


def _aim(scenario: dict[str, Any], contender: dict[str, Any], baseline: str) -> str:
    """What is asked of this ratio, to stand beside it."""
    for aim in scenario["aims"]:
        asked = (aim["contender"], list(aim["baselines"]), aim["metric"])
        if asked == (contender["name"], [baseline], scenario["metric"]):
            return f", aim {of_scenario(scenario, aim).aim()}"
    return ""


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
    of_bytes = "bytes_per_row" in scenario["notes"]
    shown = bytes_table(scenario) if of_bytes else table(scenario)
    parts = [f"### {scenario['title']}", shown]
    if scenario["qualification"]:
        parts.append(_qualification(scenario))
    parts += _best_of(scenario)
    blocks = len(scenario["contenders"][0]["blocks"])
    checked = sum(b["checked"] for c in scenario["contenders"] for b in c["blocks"])
    parts.append(
        f"{blocks} blocks of {scenario['seconds_per_block']:.2g} s; {checked} answers checked."
    )
    parts += _notes(scenario["notes"])
    return "\n\n".join(parts)


def _best_of(scenario: dict[str, Any]) -> list[str]:
    """Aims over the best of several baselines, which have no column of their own."""
    found = [of_scenario(scenario, aim) for aim in scenario["aims"] if len(aim["baselines"]) > 1]
    return [
        f"{each.what}, whichever is better in a turn: {spread(each.ratios, '{:.2f}'.format)}, "
        f"aim {each.aim()}."
        for each in found
    ]


def _notes(notes: dict[str, Any]) -> list[str]:
    if "bytes_per_row" in notes:
        return [] if notes["torch"] else ["torch is not installed, and not measured."]
    if "lengths" in notes:
        return [_lengths(notes)]
    if "seconds_by_gear" not in notes:
        return []
    times = notes["seconds_by_gear"]
    per_row = ", ".join(
        f"{size}: {1e6 * seconds / int(size):,.0f}" for size, seconds in times.items()
    )
    text = (
        f"dynbatch forms batches of up to {notes['cap']}; measured at load, in us a row by batch "
        f"size: {per_row}."
    )
    if "load_seconds" in notes:
        text += f" Loading took {notes['load_seconds']:.1f} s."
    return [text]


def _lengths(notes: dict[str, Any]) -> str:
    tenth, half, most, longest = notes["lengths"]
    caps = ", ".join(f"{name}: {cap}" for name, cap in notes["caps"].items())
    return (
        f"A tenth of the rows is not longer than {tenth}, half not than {half}, nine tenths not "
        f"than {most}; the longest has {longest}. Rows of a batch at most: {caps}; those written "
        f"by hand: {', '.join(f'{name}: {size}' for name, size in notes['peer_batches'].items())}."
    )


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
