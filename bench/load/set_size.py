"""Gathering the next batch while one runs: `set_size=2` against 1, large rows and short runs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import onnx

import dynbatch
from bench.load.contenders import Rows, dynbatch_threads
from bench.load.interleave import Aim, Scenario

SIDE = 256  # 256 KiB a row
LARGEST = 8
ONE, TWO = "dynbatch, set_size=1", "dynbatch, set_size=2"


@contextmanager
def set_size(callers: int) -> Iterator[Scenario]:
    """Images of one size, which the model takes at any, through one worker."""
    from shape_graphs import free_image

    rng = np.random.default_rng(11)
    feeds = [
        {"image": rng.standard_normal((1, 1, SIDE, SIDE), np.float32)} for _ in range(2 * callers)
    ]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        onnx.save(free_image(), folder / "image.onnx")
        rows = Rows.of(folder / "image.onnx", feeds)

        def load(size: int) -> dynbatch.Model:
            return stack.enter_context(
                dynbatch.load(
                    rows.path,
                    max_batch_size=LARGEST,
                    batching="always",
                    workers=1,
                    set_size=size,
                    image_sizes=[(SIDE, SIDE), (SIDE // 2, SIDE // 2)],
                )
            )

        one, two = load(1), load(2)
        yield Scenario(
            name="set_size",
            title=f"A convolution on rows of 256 KiB, 1 worker, {callers} threads",
            contenders=[
                dynbatch_threads(ONE, one, rows, callers),
                dynbatch_threads(TWO, two, rows, callers),
            ],
            baselines=[ONE],
            aims=[Aim(TWO, [ONE], asked=1.0)],
        )
