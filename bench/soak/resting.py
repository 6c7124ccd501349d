"""What an idle model spends, and what a busy one keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np

from bench.soak.figure import Figure
from bench.soak.models import ROW, function, native, sequences
from bench.soak.process import Holdings, share_of_cpu

IDLE_SECONDS = 5.0
MOST_IDLE_CPU = 0.5  # percent of one CPU

REQUESTS = 5_000_000
ROUND = 20_000  # requests of one look at the memory
MOST_GROWTH_MIB = 4.0
SETTLING = 0.1

SHAPES = 10_000
MOST_SHAPES_MIB = 16.0  # ONNX Runtime keeps a plan of its memory for each shape


def idle_cpu(scale: float) -> Iterator[Figure]:
    """Models that have answered, and wait for more."""
    for name, make in (("native", native), ("function", function)):
        for delay in (0.0, 1.0):
            with make(max_queue_delay=delay, max_batch_size=2) as model:
                for future in [model.submit(ROW) for _ in range(2)]:
                    future.result()
                spent = share_of_cpu(max(0.5, IDLE_SECONDS * scale))
            yield Figure(
                f"idle CPU, {name}, delay {delay:g} s", spent, "% of a CPU", most=MOST_IDLE_CPU
            )


def memory(scale: float) -> Iterator[Figure]:
    """Requests of all kinds; the memory after a tenth of them is all that is needed."""
    total = max(4 * ROUND, int(REQUESTS * scale))
    made = 0
    before = None
    with native() as model:

        async def serve() -> None:
            for _ in range(ROUND // 10 // 16):
                await asyncio.gather(*(model.infer_async(ROW) for _ in range(16)))

        while made < total:
            if before is None and made >= total * SETTLING:
                before = Holdings.now()
            for _ in range(ROUND * 8 // 10):
                model.infer(ROW)
            for _ in model.map([ROW] * (ROUND // 10)):
                pass
            asyncio.run(serve())
            made = model.stats().succeeded
        assert before is not None
        yield from Holdings.now().growth(before, f"{made:,} requests", MOST_GROWTH_MIB)


def shapes(scale: float) -> Iterator[Figure]:
    """Requests none of which has the shape of another, the largest first."""
    count = max(100, int(SHAPES * scale))
    with sequences() as model:

        def serve(lengths: range) -> None:
            feeds = (np.ones((1, length), np.int64) for length in lengths)
            for _ in model.map({"ids": ids, "attention_mask": ids} for ids in feeds):
                pass

        settled = count - count // 10
        serve(range(count, settled, -1))
        before = Holdings.now()
        serve(range(settled, 0, -1))
        yield from Holdings.now().growth(before, f"{count:,} shapes", MOST_SHAPES_MIB)
