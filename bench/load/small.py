"""Small models, where the cost of batching itself shows: the MLP 256-1024-256 and one Gemm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import dynbatch
from bench.load.contenders import (
    Contender,
    Rows,
    asyncio_batcher,
    bound,
    dynbatch_coroutines,
    dynbatch_threads,
    preformed,
    thread_batcher,
    unbatched,
)
from bench.load.interleave import Qualification, Scenario
from bench.load.models import small_model
from bench.machine import cpu_count

LARGEST = 32
ROWS_PER_CALLER = 8
IDEAL = "one-thread ideal"
PYTHON = "dynbatch, python execution"
# Hand-written batchers below these shares of the one-thread ideal are no measure of anything.
GOOD_ASYNCIO_SHARE = 0.45
GOOD_THREAD_SHARE = 0.25


def _counts() -> list[int]:
    """One worker, and one for each CPU."""
    return sorted({1, cpu_count()})


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _load(stack: ExitStack, rows: Rows, **options: Any) -> dynbatch.Model:
    return stack.enter_context(dynbatch.load(rows.path, max_batch_size=LARGEST, **options))


def _ideal_lines(rows: Rows) -> list[Contender]:
    names = {1: IDEAL}
    return [preformed(names.get(n, f"{n}-thread ideal"), rows, LARGEST, n) for n in _counts()]


@contextmanager
def threads(callers: int) -> Iterator[Scenario]:
    """That many threads calling `run` on the MLP."""
    rows = small_model("mlp", callers * ROWS_PER_CALLER)
    with ExitStack() as stack:
        peers = [
            thread_batcher(
                f"thread batcher, {_counted(n, 'worker')}",
                rows,
                callers,
                workers=n,
                largest=LARGEST,
            )
            for n in _counts()
        ]
        for peer in peers:
            stack.callback(peer.close)
        yield Scenario(
            name="mlp_threads",
            title=f"MLP 256-1024-256, {callers} threads calling run",
            contenders=[
                dynbatch_threads("dynbatch", _load(stack, rows), rows, callers),
                dynbatch_threads(
                    "dynbatch, 1 worker", _load(stack, rows, workers=1), rows, callers
                ),
                dynbatch_threads(PYTHON, _load(stack, rows, execution="python"), rows, callers),
                *peers,
                unbatched("InferenceSession, unbatched", rows, callers, threads=1),
                *_ideal_lines(rows),
            ],
            baselines=[peers[0].name, IDEAL],
            qualification=Qualification(peers[0].name, GOOD_THREAD_SHARE, IDEAL),
        )


@contextmanager
def coroutines(callers: int) -> Iterator[Scenario]:
    """That many coroutines of one loop on the MLP."""
    rows = small_model("mlp", callers * ROWS_PER_CALLER)
    with ExitStack() as stack:
        peers = [
            asyncio_batcher(
                f"asyncio batcher, {_counted(n, 'worker')}",
                rows,
                callers,
                workers=n,
                largest=LARGEST,
            )
            for n in _counts()
        ]
        one_worker = _load(stack, rows, workers=1)
        yield Scenario(
            name="mlp_coroutines",
            title=f"MLP 256-1024-256, {callers} coroutines",
            contenders=[
                dynbatch_coroutines("dynbatch", _load(stack, rows), rows, callers),
                dynbatch_coroutines("dynbatch, 1 worker", one_worker, rows, callers),
                dynbatch_coroutines(PYTHON, _load(stack, rows, execution="python"), rows, callers),
                *peers,
                *_ideal_lines(rows),
            ],
            baselines=[peers[0].name, IDEAL],
            qualification=Qualification(peers[0].name, GOOD_ASYNCIO_SHARE, IDEAL),
        )


@contextmanager
def lone(model_name: str, title: str) -> Iterator[Scenario]:
    """One caller that nobody keeps company."""
    rows = small_model(model_name, 64)
    as_written = "InferenceSession.run"
    with ExitStack() as stack:
        contenders = [
            dynbatch_threads("dynbatch", _load(stack, rows), rows, 1),
            dynbatch_threads(PYTHON, _load(stack, rows, execution="python"), rows, 1),
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
