"""Detect, then recognise, then embed: real models under concurrent callers, three ways.

    python examples/demo/run.py

Pages go through a text detector; the lines of all pages at once are classified and recognised
from many threads, and the text is held against the truth and against unbatched answers. Then
sentences are embedded from coroutines. The exit code is 1 if any answer is wrong.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from detect import detector_row
from embed import closest_pair, embedding_of, load_tokenizer, sentence_rows
from engines import Engine, engines_for
from measure import Measured, interleaved
from models import TOKENIZER, alphabet_of, models_below
from pages import make_pages, sentences
from reader import Reader, Reading
from recognise import RECOGNISER_WIDTHS, classifier_row, own_width, recogniser_row
from table import results_table

ROOT = Path(__file__).resolve().parents[2]
CALLERS = 32
SENTENCES = 320
QUICK_PAGES, QUICK_SENTENCES = 2, 32
MOST_CHARACTER_ERRORS = 0.03
TOLERANCE = 1e-4


class Demo:
    """The whole run: what is measured on the way, and what turned out wrong."""

    def __init__(self, folder: Path, console: Console, *, baseline_only: bool, quick: bool) -> None:
        self.folder = folder
        self.console = console
        self.baseline_only = baseline_only
        self.quick = quick
        self.models = models_below(folder)
        self.engines: dict[str, list[Engine]] = {}
        self.results: dict[str, list[Measured[Any]]] = {}
        self.faults: list[str] = []
        self.progress = Progress(
            TextColumn("{task.description:44}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            refresh_per_second=2,
        )

    def load(self) -> None:
        task = self.progress.add_task("loading the models", total=len(self.models))
        for name, model in self.models.items():
            self.engines[name] = engines_for(model, CALLERS, baseline_only=self.baseline_only)
            self.progress.advance(task)

    def close(self) -> None:
        for engines in self.engines.values():
            for engine in engines:
                engine.close()

    def read_pages(self) -> list[Reading]:
        """Read all pages at once, a thread for each, and hold the text against the truth."""
        pages = make_pages(ROOT, self.folder)[: QUICK_PAGES if self.quick else None]
        reader = Reader(
            detector=self.engines["detector"][-1],
            classifier=self.engines["classifier"][-1],
            recogniser=self.engines["recogniser"][-1],
            alphabet=alphabet_of(self.models["recogniser"]),
        )
        task = self.progress.add_task("reading the pages, all at once", total=len(pages))
        started = time.perf_counter()
        readings = []
        with ThreadPoolExecutor(len(pages)) as threads:
            for reading in threads.map(reader.read, pages):
                self.progress.advance(task)
                self.show(reading)
                readings.append(reading)
        seconds = time.perf_counter() - started
        errors = sum(reading.errors for reading in readings)
        characters = sum(len(reading.page.text) for reading in readings)
        rate = errors / characters
        self.console.print(
            f"{len(pages)} pages, {sum(len(r.lines) for r in readings)} lines and {characters} "
            f"characters in {seconds:.1f} s; character error rate {rate:.2%}"
        )
        if rate > MOST_CHARACTER_ERRORS:
            self.faults.append(
                f"character error rate: expected at most {MOST_CHARACTER_ERRORS:.0%}, "
                f"got {rate:.2%}"
            )
        return readings

    def show(self, reading: Reading) -> None:
        title = f"{reading.page.name}: {len(reading.lines)} lines, {reading.errors} errors"
        text = Text("\n".join(reading.lines) or "(no text)")
        self.console.print(Panel(text, title=Text(title), title_align="left"))

    def compare_ocr(self, readings: list[Reading]) -> None:
        """The same pages and crops through each model by itself, three ways."""
        alphabet = alphabet_of(self.models["recogniser"])
        pages = [{"x": detector_row(reading.page.pixels)} for reading in readings]
        pieces = [{"x": classifier_row(p)} for r in readings for p in r.pieces]
        upright = [{"x": recogniser_row(p)} for r in readings for p in r.upright]
        texts = [text for r in readings for text in r.texts]
        self.show_widths([own_width(p) for r in readings for p in r.upright], upright)
        self.compare("detector", pages * 2, lambda outputs: outputs[0][0])
        self.compare("classifier", pieces, Reader.turned_in)
        self.compare("recogniser", upright, lambda out: alphabet.decode(out[0][0]).strip())
        reference = self.results["recogniser"][1].answers
        self.expect_equal("the text of the pages", texts, reference)
        for name in ("classifier", "recogniser"):
            for one in self.results[name]:
                what = f"{name}, {one.engine.label}"
                self.expect_equal(what, one.answers, self.results[name][1].answers)
        self.expect_close("detector")

    def show_widths(self, own: list[int], rows: list[Any]) -> None:
        padded = sum(row["x"].shape[3] for row in rows)
        self.console.print(
            f"{len(rows)} pieces of lines, {min(own)} to {max(own)} columns wide; of what the "
            f"recogniser sees {1 - sum(own) / padded:.1%} is padding, in one width it would be "
            f"{1 - sum(own) / (len(rows) * RECOGNISER_WIDTHS[-1]):.1%}",
            highlight=False,
        )

    def embed_sentences(self) -> None:
        found = sentences(ROOT, QUICK_SENTENCES if self.quick else SENTENCES)
        tokenizer = load_tokenizer(self.folder / TOKENIZER)
        rows = sentence_rows(tokenizer, found)
        tokens = [row["input_ids"].shape[1] for row in rows]
        self.compare("MiniLM", rows, embedding_of, coroutines=2 * CALLERS)
        self.expect_close("MiniLM")
        one, other, cosine = closest_pair(found, self.results["MiniLM"][-1].answers)
        self.console.print(
            f"{len(found)} sentences of {min(tokens)} to {max(tokens)} tokens; the "
            f"closest two (cosine {cosine:.3f}):\n  {one}\n  {other}",
            highlight=False,
            markup=False,
        )

    def compare(self, name: str, feeds: list[Any], read: Any, *, coroutines: int = 0) -> None:
        engines = self.engines[name]
        callers = f"{coroutines} coroutines" if coroutines else f"{CALLERS} threads"
        task = self.progress.add_task(f"{name}, from {callers}", total=len(engines) * len(feeds))
        self.results[name] = interleaved(
            engines, feeds, read, lambda: self.progress.advance(task), coroutines=coroutines
        )

    def expect_equal(self, what: str, found: Iterable[Any], reference: Iterable[Any]) -> None:
        different = [(a, b) for a, b in zip(found, reference, strict=True) if a != b]
        if different:
            a, b = different[0]
            self.faults.append(
                f"{what}: {len(different)} answers differ from unbatched; first {a!r}, not {b!r}"
            )

    def expect_close(self, name: str) -> None:
        """Arrays may differ in their last bits, relative to the largest value."""
        reference = np.stack(self.results[name][1].answers)
        for one in self.results[name]:
            gap = np.abs(np.stack(one.answers) - reference).max() / np.abs(reference).max()
            if not gap <= TOLERANCE:
                self.faults.append(
                    f"{name}, {one.engine.label}: expected answers within {TOLERANCE} of "
                    f"unbatched, got {gap:.1e}"
                )


def main() -> int:
    parser = argparse.ArgumentParser(description="Read pages and embed sentences, three ways.")
    parser.add_argument("--models", type=Path, default=ROOT / "build" / "models")
    parser.add_argument(
        "--baseline-only", action="store_true", help="ONNX Runtime alone, without dynbatch"
    )
    parser.add_argument(
        "--quick", action="store_true", help="a few pages and sentences, which show that it works"
    )
    arguments = parser.parse_args()
    missing = [m.path for m in models_below(arguments.models).values() if not m.path.is_file()]
    if missing:
        parser.error(f"no model at {missing[0]}; `make models` fetches it")
    console = Console(width=None if sys.stdout.isatty() else 140)
    demo = Demo(
        arguments.models, console, baseline_only=arguments.baseline_only, quick=arguments.quick
    )
    started = time.perf_counter()
    try:
        with demo.progress:
            demo.load()
            demo.compare_ocr(demo.read_pages())
            demo.embed_sentences()
        console.print(results_table(demo.results))
    finally:
        demo.close()
    console.print(f"{time.perf_counter() - started:.0f} s in all")
    for fault in demo.faults:
        console.print(f"WRONG: {fault}", style="bold red", highlight=False, markup=False)
    if not demo.faults:
        console.print("All answers are right, and equal to what unbatched calls give.")
    return 1 if demo.faults else 0


if __name__ == "__main__":
    sys.exit(main())
