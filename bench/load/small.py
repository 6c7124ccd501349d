"""Small models, where the cost of batching itself shows: the MLP 256-1024-256 and one Gemm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import dynbatch
from bench.load.contenders import (
    asyncio_batcher,
    bound,
    dynbatch_coroutines,
    dynbatch_threads,
    preformed,
    thread_batcher,
    unbatched,
)
from bench.load.interleave import Scenario
from bench.load.models import small_model
from bench.machine import cpu_count

LARGEST = 32
ROWS_PER_CALLER = 8
IDEAL = "ideal line"


def _workers(count: int) -> str:
    return f"{count} worker" if count == 1 else f"{count} workers"


@contextmanager
def threads(callers: int) -> Iterator[Scenario]:
    """That many threads calling `run` on the MLP."""
    rows = small_model("mlp", callers * ROWS_PER_CALLER)
    with ExitStack() as stack:
        default = stack.enter_context(dynbatch.load(rows.path, max_batch_size=LARGEST))
        single = stack.enter_context(dynbatch.load(rows.path, max_batch_size=LARGEST, workers=1))
        contenders = [
            dynbatch_threads("dynbatch", default, rows, callers),
            dynbatch_threads("dynbatch, 1 worker", single, rows, callers),
            *(
                thread_batcher(
                    f"thread batcher, {_workers(n)}", rows, callers, workers=n, largest=LARGEST
                )
                for n in sorted({1, cpu_count()})
            ),
            unbatched("InferenceSession, unbatched", rows, callers, threads=1),
            preformed(IDEAL, rows, LARGEST, 1),
        ]
        for contender in contenders:
            stack.callback(contender.close)
        yield Scenario(
            name="mlp_threads",
            title=f"MLP 256-1024-256, {callers} threads calling run",
            contenders=contenders,
            baselines=["thread batcher, 1 worker", IDEAL],
        )


@contextmanager
def coroutines(callers: int) -> Iterator[Scenario]:
    """That many coroutines of one loop on the MLP."""
    rows = small_model("mlp", callers * ROWS_PER_CALLER)
    with ExitStack() as stack:
        default = stack.enter_context(dynbatch.load(rows.path, max_batch_size=LARGEST))
        single = stack.enter_context(dynbatch.load(rows.path, max_batch_size=LARGEST, workers=1))
        yield Scenario(
            name="mlp_coroutines",
            title=f"MLP 256-1024-256, {callers} coroutines",
            contenders=[
                dynbatch_coroutines("dynbatch", default, rows, callers),
                dynbatch_coroutines("dynbatch, 1 worker", single, rows, callers),
                *(
                    asyncio_batcher(
                        f"asyncio batcher, {_workers(n)}", rows, callers, workers=n, largest=LARGEST
                    )
                    for n in sorted({1, cpu_count()})
                ),
                preformed(IDEAL, rows, LARGEST, 1),
            ],
            baselines=["asyncio batcher, 1 worker", IDEAL],
        )


@contextmanager
def lone(model_name: str, title: str) -> Iterator[Scenario]:
    """One caller that nobody keeps company."""
    rows = small_model(model_name, 64)
    as_written = "InferenceSession.run"
    with ExitStack() as stack:
        model = stack.enter_context(dynbatch.load(rows.path, max_batch_size=LARGEST))
        contenders = [
            dynbatch_threads("dynbatch", model, rows, 1),
            unbatched(as_written, rows, 1, threads=0),
            unbatched("InferenceSession.run, 1 thread a run", rows, 1, threads=1),
            bound("run_with_iobinding, 1 thread a run", rows, threads=1),
            thread_batcher("thread batcher", rows, 1, workers=1, largest=LARGEST),
            asyncio_batcher("asyncio batcher", rows, 1, workers=1, largest=LARGEST),
            preformed(IDEAL, rows, 1, 1),
        ]
        for contender in contenders:
            stack.callback(contender.close)
        yield Scenario(
            name=f"{model_name}_lone",
            title=f"{title}, a lone caller",
            contenders=contenders,
            baselines=[as_written, IDEAL],
            metric="p50_us",
        )
