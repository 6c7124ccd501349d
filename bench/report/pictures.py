"""Pictures of the figures: ratios beside their aims, rates of crowds, arrivals, memory."""

from __future__ import annotations

import io
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from bench.report.aims import Judged, judged
from bench.report.memory import MIB, STAGES

WIDTH = 10.0  # inches
DOTS_PER_INCH = 100
COLORS = 256
OURS, PEER, PLAIN, IDEAL = "#0b6e4f", "#c8553d", "#8d99ae", "#d9d9d9"
CROWDS = (
    "mlp_threads",
    "mlp_coroutines",
    "null_threads",
    "null_coroutines",
    "mlp_threads_busy",
    "mlp_coroutines_busy",
)
ARRIVALS = "mlp_arrivals_"
RATES_TITLE = "Rates, times the rate of what stands after the colon. Aim: the mark, or right of it"
TIMES_TITLE = "Times and memory, divided by those after the colon. Aim: the mark, or left of it"
LONGEST_TITLE = 48  # of a label
Results = Mapping[str, Any]


def draw(results: Results, folder: Path) -> dict[str, Path]:
    """Writes the pictures for which there are figures; their files by caption."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for name, (caption, picture) in PICTURES.items():
        figure = picture(results)
        if figure is not None:
            drawn[caption] = folder / f"{name}.png"
            _save(figure, drawn[caption])
    return drawn


def _save(figure: Figure, path: Path) -> None:
    """A small file: a palette of few colours is all that is in it."""
    FigureCanvasAgg(figure)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=DOTS_PER_INCH)
    with Image.open(drawn) as image:
        image.convert("RGB").quantize(COLORS).save(path, optimize=True)


def ratios(results: Results) -> Figure | None:
    """Each ratio that has an aim: its median and spread, and where it should be."""
    everything = list(judged(results))
    panels = [
        (title, [each for each in everything if each.at_least is at_least])
        for title, at_least in ((RATES_TITLE, True), (TIMES_TITLE, False))
    ]
    panels = [(title, found) for title, found in panels if found]
    if not panels:
        return None
    heights = [len(found) + 1.5 for _, found in panels]
    figure = Figure((WIDTH, 0.3 * sum(heights) + 0.4), layout="constrained")
    axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)
    for (axis,), (title, found) in zip(axes, panels, strict=True):
        _ratio_panel(axis, title, found)
    return figure


def _ratio_panel(axis: Axes, title: str, found: Sequence[Judged]) -> None:
    for y, each in enumerate(found):
        color = OURS if each.holds else PEER
        axis.plot([min(each.ratios), max(each.ratios)], [y, y], color=color, linewidth=2, alpha=0.5)
        axis.plot(statistics.median(each.ratios), y, "o", color=color, markersize=6)
        axis.plot(each.asked, y, "|", color="black", markersize=13, markeredgewidth=2)
        if each.hoped is not None:
            axis.plot(each.hoped, y, "|", color="black", markersize=9, markeredgewidth=1)
    axis.set_yticks(range(len(found)), [_label(each) for each in found], fontsize=8)
    axis.set_ylim(len(found) - 0.4, -0.6)
    axis.set_xscale("log")
    ticks = [0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50, 100]
    low, high = axis.get_xlim()
    axis.set_xticks([tick for tick in ticks if low <= tick <= high])
    axis.minorticks_off()
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.axvline(1, color="grey", linewidth=0.5)
    axis.grid(axis="x", alpha=0.3)
    axis.set_title(title, fontsize=10, loc="left")


def _label(each: Judged) -> str:
    """The question, and what is compared in it, short enough to stand beside a row."""
    title = each.title.replace("MLP 256-1024-256", "MLP").replace(" a request", "")
    title = title.replace("Null model (16 numbers handed through)", "Null model")
    title = title.replace(" a busy Python thread", " a busy thread").replace(" calling run", "")
    against = each.what.partition(" to ")[2]
    against = against.replace(", 1 worker", "").replace(", 1 thread a run", "")
    if " or " in against:
        against = "the best of them" if against.count(" or ") > 1 else "the better of two"
    if len(title) > LONGEST_TITLE:
        title = (title.rpartition(",")[0] or title).partition(" (")[0]
    variant = each.what.partition(", rate")[0].partition(", p99")[0]
    if variant.startswith("dynbatch, ") and "the best" in against:
        title = f"{title}, {variant.removeprefix('dynbatch, ')}"
    ours = each.what.startswith(("dynbatch", "place_rows", "cut_rows"))
    return f"{title}: {against}" if ours else f"{title}: {each.what}"


def rates(results: Results) -> Figure | None:
    """A panel a crowd on a small model, a bar a contender."""
    by_name = {scenario["name"]: scenario for scenario in results["scenarios"]}
    found = [by_name[name] for name in CROWDS if name in by_name]
    if not found:
        return None
    rows = (len(found) + 1) // 2
    figure = Figure((WIDTH, 2.3 * rows), layout="constrained")
    axes = figure.subplots(rows, 2, squeeze=False).flat
    for axis, scenario in zip(axes, found, strict=False):
        _bars(axis, scenario)
    for axis in list(axes)[len(found) :]:
        axis.set_visible(False)
    return figure


def _bars(axis: Axes, scenario: Results) -> None:
    names = [contender["name"] for contender in scenario["contenders"]]
    values = [
        [block["rows_per_second"] / 1000 for block in contender["blocks"]]
        for contender in scenario["contenders"]
    ]
    medians = [statistics.median(each) for each in values]
    spreads = [
        [median - min(each) for median, each in zip(medians, values, strict=True)],
        [max(each) - median for median, each in zip(medians, values, strict=True)],
    ]
    colors = [_color(name) for name in names]
    axis.barh(names, medians, xerr=spreads, color=colors, error_kw={"elinewidth": 1})
    axis.invert_yaxis()
    axis.tick_params(labelsize=8)
    axis.set_xlabel("thousand rows/s", fontsize=8)
    title = scenario["title"].replace(" beside", "\nbeside").replace(", 64", ",\n64")
    axis.set_title(title.replace("\nbeside", " beside"), fontsize=9, loc="left")


def _color(name: str) -> str:
    for beginning, color in (("dynbatch", OURS), ("InferenceSession", PLAIN), ("unbatched", PLAIN)):
        if name.startswith(beginning):
            return color
    return IDEAL if name.endswith("ideal") else PEER


def arrivals(results: Results) -> Figure | None:
    """Latency over the rate of arrivals."""
    found = [each for each in results["scenarios"] if each["name"].startswith(ARRIVALS)]
    if not found:
        return None
    figure = Figure((WIDTH, 3.6), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    names = [contender["name"] for contender in found[0]["contenders"]]
    for axis, key, title in zip(
        axes, ("p50_us", "p99_us"), ("Median", "99th percentile"), strict=True
    ):
        for name in names:
            blocks = [
                [block[key] / 1000 for block in contender["blocks"]]
                for scenario in found
                for contender in scenario["contenders"]
                if contender["name"] == name
            ]
            shares = [scenario["notes"]["arrivals_share"] for scenario in found]
            axis.plot(
                shares, list(map(statistics.median, blocks)), "o-", color=_color(name), label=name
            )
            low, high = list(map(min, blocks)), list(map(max, blocks))
            axis.fill_between(shares, low, high, color=_color(name), alpha=0.15)
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axis.set_xticks([scenario["notes"]["arrivals_share"] for scenario in found])
        axis.set_xlabel("arrivals, share of what an asyncio batcher answers", fontsize=9)
        axis.grid(alpha=0.3)
        axis.set_title(f"{title}, ms from when a request was due", fontsize=10, loc="left")
    axes[0].legend(fontsize=8, loc="upper left")
    return figure


def memory(results: Results) -> Figure | None:
    """Resident bytes by stage, with all gears and with the largest alone."""
    entries = results["memory"]
    if not entries:
        return None
    figure = Figure((WIDTH, 3.4), layout="constrained")
    axes = figure.subplots(1, len(entries), squeeze=False)[0]
    for axis, entry in zip(axes, entries, strict=True):
        for offset, what, color in ((-0.2, "all", OURS), (0.2, "alone", PLAIN)):
            label = f"gears up to {entry['largest']}" if what == "all" else "the largest gear alone"
            heights = [statistics.median(one[s] for one in entry[what]) / MIB for s in STAGES]
            places = [place + offset for place in range(len(STAGES))]
            bars = axis.bar(places, heights, 0.4, color=color, label=label)
            axis.bar_label(bars, fmt="%.0f", fontsize=8)
        axis.set_xticks(range(len(STAGES)), map(_wrapped, STAGES))
        axis.tick_params(labelsize=8)
        axis.margins(y=0.1)
        axis.set_title(f"{entry['model']}: MiB that it adds", fontsize=10, loc="left")
    bars_and_labels = axes[0].get_legend_handles_labels()
    figure.legend(*bars_and_labels, fontsize=8, loc="outside lower center", ncols=2)
    return figure


def _wrapped(stage: str) -> str:
    """Two lines of what is too long for one."""
    return "\n".join(stage.rsplit(" ", 1)) if len(stage) > len("gear 1") else stage


Picture = Callable[[Results], Figure | None]
PICTURES: dict[str, tuple[str, Picture]] = {
    "ratios": ("Ratios beside their aims", ratios),
    "rates": ("Rates of crowds on small models", rates),
    "arrivals": ("Latency under arrivals that do not wait", arrivals),
    "memory": ("Resident memory by stage", memory),
}
