"""The page of figures says what was left out, which peers count, and lends its rows to README."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.report.__main__ import illustrated
from bench.report.aims import judged
from bench.report.excerpt import with_excerpts
from bench.report.page import FORMAT, page

ROOT = Path(__file__).resolve().parents[2]
MARKED = "Before.\n<!-- figures: question -->\nOld.\n<!-- /figures -->\nAfter.\n"


def contender(name: str, rate: float) -> dict[str, Any]:
    block = {
        "rows_per_second": rate,
        "p50_us": 1.0,
        "p99_us": 2.0,
        "cpu_us_per_row": 3.0,
        "foreign_cpu": 0.0,
        "checked": 1,
    }
    return {"name": name, "blocks": [block]}


def memory_entry(largest: int) -> dict[str, Any]:
    """A model whose largest gear adds that many MiB, and 100 alone."""
    mib = 2**20
    stages = {"loaded": 10 * mib, "gear 1": 20 * mib, "gear 1 again": 21 * mib}
    return {
        "model": "model",
        "largest": 8,
        "all": [{**stages, "largest gear": largest * mib}],
        "alone": [{**stages, "largest gear": 100 * mib}],
        "plan": {"planned": 100, "resident": 95},
    }


@pytest.fixture
def results() -> dict[str, Any]:
    return {
        "format": FORMAT,
        "quick": False,
        "started": "today",
        "machine": {
            "cpus": 2,
            "cpu": "Chip",
            "virtual": False,
            **dict.fromkeys(("memory_gib", "kernel", "python", "dynbatch"), "1"),
            **dict.fromkeys(("onnxruntime", "numpy"), "1"),
        },
        "left_out": [],
        "scenarios": [
            {
                "name": "question",
                "title": "A question",
                "metric": "rows_per_second",
                "baselines": ["peer", "ideal"],
                "qualification": {"peer": "peer", "least_share": 0.5, "ideal": "ideal"},
                "aims": [
                    {
                        "contender": "dynbatch",
                        "baselines": ["peer"],
                        "asked": 1.4,
                        "hoped": 2,
                        "metric": "rows_per_second",
                    },
                    {
                        "contender": "dynbatch",
                        "baselines": ["peer", "ideal"],
                        "asked": 0.97,
                        "hoped": None,
                        "metric": "rows_per_second",
                    },
                ],
                "seconds_per_block": 1.0,
                "notes": {},
                "contenders": [
                    contender("dynbatch", 90.0),
                    contender("peer", 60.0),
                    contender("other peer", 10.0),
                    contender("ideal", 100.0),
                ],
            }
        ],
        "memory": [],
        "gear_memory": [],
        "micro": None,
    }


def test_ratios_are_those_to_the_baselines(results: dict[str, Any]) -> None:
    row = "| dynbatch | 90.0 [90.0..90.0] | 1.50 [1.50..1.50], aim 1.4, better 2 | 0.90 "
    assert row in page(results)


def test_aims_are_judged_against_the_best_of_their_baselines(results: dict[str, Any]) -> None:
    first, second = judged(results)
    assert (first.ratios, first.holds) == ((1.5,), True)
    assert (second.ratios, second.holds) == ((0.9,), False)
    assert "| dynbatch, rate to peer or ideal | 0.90 [0.90..0.90] | 0.97 | **no** |" in page(
        results
    )


def test_times_are_to_be_at_most_what_is_asked(results: dict[str, Any]) -> None:
    for aim in results["scenarios"][0]["aims"]:
        aim["metric"] = "p99_us"
    assert [(each.ratios, each.holds) for each in judged(results)] == [((1,), True), ((1,), False)]
    assert "at most 0.97" in page(results)


def test_memory_is_divided_by_that_of_the_largest_gear_alone(results: dict[str, Any]) -> None:
    results["memory"] = [memory_entry(largest=110)]
    all_gears, after, plan = list(judged(results))[2:]
    assert (all_gears.ratios, all_gears.holds) == ((1.1,), False)
    assert (after.ratios, after.holds) == ((1.05,), True)
    assert (plan.ratios, plan.holds) == ((0.95,), True)
    row = "| model | up to 8 | 10.0 [10.0..10.0] | 20.0 [20.0..20.0] | 110.0 [110.0..110.0] |"
    assert row in page(results)


def gear_scenario(notes: dict[str, Any]) -> dict[str, Any]:
    """Both contenders take a microsecond for a call, but for dynbatch.acl: that takes two."""
    ours, fixed = contender("dynbatch.acl", 1.0), contender("fixed session", 1.0)
    ours["blocks"][0]["p50_us"] = 2.0
    aim = {
        "contender": "dynbatch.acl",
        "baselines": ["fixed session"],
        "asked": 1.05,
        "hoped": None,
        "metric": "p50_us",
    }
    return {
        "title": "A model in a gear",
        "metric": "p50_us",
        "baselines": ["fixed session"],
        "aims": [aim] if "gear" in notes else [],
        "seconds_per_block": 1.0,
        "notes": notes,
        "contenders": [ours, fixed],
    }


def test_gears_have_a_part_of_their_own(results: dict[str, Any]) -> None:
    results["scenarios"] += [
        gear_scenario({"model": "model", "gear": "4"}),
        gear_scenario({"gears": [1, 4]}),
    ]
    text = page(results)
    _, _, part = text.partition("### Gears compiled into a model\n")
    assert "| model | 4 | 1.0 [1.0..1.0] | 2.00 [2.00..2.00] | 1.00 [1.00..1.00] |" in part
    assert "| dynbatch.acl | 2.0 [2.0..2.0] | 2.0 [2.0..2.0] | 1.00 [1.00..1.00] |" in part
    assert "| A model in a gear | dynbatch.acl, p50 to fixed session | 2.00 " in text
    assert "### A model in a gear" not in text


def test_memory_of_compiled_gears_is_divided_by_that_of_the_largest(
    results: dict[str, Any],
) -> None:
    def stages(mib: int) -> list[dict[str, Any]]:
        return [{"loaded": 2**20, "largest gear": mib * 2**20}]

    results["gear_memory"] = [
        {"model": "model", "gears": ["1", "8"], "all": stages(12), "alone": stages(10)}
    ]
    assert [(each.ratios, each.holds) for each in judged(results)][2:] == [((1.2,), False)]
    assert "| model | 1, 8 | 1.0 [1.0..1.0] | 12.0 [12.0..12.0] |" in page(results)
    assert "|  | 8 alone | 1.0 [1.0..1.0] | 10.0 [10.0..10.0] |" in page(results)


def test_a_page_in_a_file_has_pictures(results: dict[str, Any], tmp_path: Path) -> None:
    results["memory"] = [memory_entry(largest=110)]
    text = illustrated(results, tmp_path / "page.md")
    linked = re.findall(r"!\[.*\]\((.*)\)", text)
    assert linked == ["figures/ratios.png", "figures/memory.png"]
    for link in linked:
        assert (tmp_path / link).read_bytes().startswith(b"\x89PNG")


def test_a_peer_qualifies_by_its_share_of_the_ideal(results: dict[str, Any]) -> None:
    assert "Peer qualifies: yes." in page(results)
    results["scenarios"][0]["qualification"]["least_share"] = 0.61
    assert "Peer qualifies: **no**." in page(results)


def test_what_was_left_out_is_listed(results: dict[str, Any]) -> None:
    assert "left out" not in page(results)
    results["left_out"] = ["one", "two"]
    assert "one, two were left out" in page(results)


def test_the_core_is_shown_beside_what_is_aimed_at(results: dict[str, Any]) -> None:
    def paired(program: str, setting: str, *blocks: tuple[str, dict[str, float]]) -> dict[str, Any]:
        contenders = [
            {"name": name, "blocks": [{"foreign_cpu": 0.5, **block}]} for name, block in blocks
        ]
        return {"program": program, "settings": [{"setting": setting, "contenders": contenders}]}

    def rates(value: float) -> dict[str, float]:
        return {"rows_per_second": value, "cpu_us_per_row": 1.0}

    def times(p50: float, p99: float) -> dict[str, float]:
        return {"p50_us": p50, "p99_us": p99, "p999_us": 1.0, "worst_us": 1.0}

    name = "claim_copy_publish/row_bytes:64/real_time/threads:1"
    results["micro"] = {
        "parts": [{"program": "request_queue_bench", "name": name, "ns_per_item": [15.0]}],
        "paired": [
            paired(
                "throughput_paired",
                "64 B, 1 producer",
                ("dynbatch", rates(6e6)),
                ("mutex batcher", rates(2e6)),
                ("moodycamel batcher", rates(4e6)),
            ),
            paired("lone_paired", "a", ("infer", times(2.0, 3.0)), ("bare run", times(1.5, 2.5))),
        ],
    }
    text = page(results)
    assert "3.00 [3.00..3.00], aim 3 | 1.50 [1.50..1.50], aim 1 |" in text
    assert "0.50 [0.50..0.50], aim at most 0.4 | 0.50 [0.50..0.50], aim at most 1 |" in text
    assert "claim_copy_publish/row_bytes:64/threads:1 | 15.0 [15.0..15.0] | at most 20 |" in text
    assert "The machine was not quiet" in text


def test_results_of_another_format_are_refused(results: dict[str, Any]) -> None:
    results["format"] = FORMAT - 1
    for render in (page, lambda results: with_excerpts(MARKED, results)):
        with pytest.raises(ValueError, match="expected the format"):
            render(results)


def test_an_excerpt_has_rows_of_the_page_in_place_of_old_ones(results: dict[str, Any]) -> None:
    before, _, rest = with_excerpts(MARKED, results).partition("<!-- figures: question -->\n")
    figures, _, after = rest.partition("<!-- /figures -->\n")
    assert (before, after) == ("Before.\n", "After.\n")
    rows = [line for line in figures.splitlines() if line.startswith("|")]
    assert [row.split(" | ")[0] for row in rows[2:]] == ["| dynbatch", "| peer", "| ideal"]
    assert set(rows) <= set(page(results).splitlines())
    assert "Old" not in figures


def test_an_excerpt_of_what_was_not_measured_is_refused(results: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="nothing is there of other"):
        with_excerpts(MARKED.replace("question", "other"), results)


def test_figures_go_into_several_pages_at_once(results: dict[str, Any], tmp_path: Path) -> None:
    written, marked, headed = (tmp_path / name for name in ("results.json", "a.md", "b.md"))
    written.write_text(json.dumps(results))
    marked.write_text(MARKED)
    headed.write_text("Method.\n\n## Figures\n\nOld.\n")
    command = [sys.executable, "-m", "bench.report", *map(str, (written, "--into", marked, headed))]
    subprocess.run(command, cwd=ROOT, check=True)
    assert marked.read_text() == with_excerpts(MARKED, results)
    assert headed.read_text() == "Method.\n\n" + illustrated(results, tmp_path / "again.md")
