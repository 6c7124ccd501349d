"""Small models, where the cost of batching itself shows: an MLP, one Gemm, and the null model.

The MLP's crowds have the one-thread ideal beside them, by which the peers qualify. Beside a busy
thread and with the null model the same peers are met again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import dynbatch
from bench.load.busy import beside_busy_thread
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
from bench.load.interleave import Aim, Qualification, Scenario
from bench.load.models import small_model
from bench.machine import cpu_count

LARGEST = 32
ROWS_PER_CALLER = 8
IDEAL = "one-thread ideal"
DEFAULT, ONE_WORKER, PYTHON = "dynbatch", "dynbatch, 1 worker", "dynbatch, python execution"
AS_WRITTEN = "InferenceSession.run"
BOUND = "run_with_iobinding, 1 thread a run"
ASYNCIO, THREAD = "asyncio batcher", "thread batcher"
# Hand-written batchers below these shares of the one-thread ideal are no measure of anything.
GOOD_ASYNCIO_SHARE = 0.45
GOOD_THREAD_SHARE = 0.25
P50 = "p50_us"

TITLES = {
    "mlp": "MLP 256-1024-256",
    "one_gemm": "One Gemm 64 by 64",
    "identity": "Null model (16 numbers handed through)",
}


def _counts() -> list[int]:
    """One worker, and one for each CPU."""
    return sorted({1, cpu_count()})


def _with_workers(name: str, count: int) -> str:
    return f"{name}, {count} worker" + ("" if count == 1 else "s")


def load(stack: ExitStack, rows: Rows, **options: Any) -> dynbatch.Model:
    """The model, until the stack is left."""
    return stack.enter_context(dynbatch.load(rows.path, max_batch_size=LARGEST, **options))


def _ideal_lines(rows: Rows) -> list[Contender]:
    names = {1: IDEAL}
    return [preformed(names.get(n, f"{n}-thread ideal"), rows, LARGEST, n) for n in _counts()]


def _ours(stack: ExitStack, rows: Rows, *, python: bool) -> Iterator[tuple[str, dynbatch.Model]]:
    yield DEFAULT, load(stack, rows)
    yield ONE_WORKER, load(stack, rows, workers=1)
    if python:
        yield PYTHON, load(stack, rows, execution="python")


def _thread_crowd(
    stack: ExitStack, rows: Rows, callers: int, *, python: bool = False
) -> list[Contender]:
    contenders = [
        dynbatch_threads(name, model, rows, callers)
        for name, model in _ours(stack, rows, python=python)
    ]
    for n in _counts():
        name = _with_workers(THREAD, n)
        peer = thread_batcher(name, rows, callers, workers=n, largest=LARGEST)
        stack.callback(peer.close)
        contenders.append(peer)
    return [*contenders, unbatched("InferenceSession, unbatched", rows, callers, threads=1)]


def _coroutine_crowd(
    stack: ExitStack, rows: Rows, callers: int, *, python: bool = False
) -> list[Contender]:
    return [
        *(
            dynbatch_coroutines(name, model, rows, callers)
            for name, model in _ours(stack, rows, python=python)
        ),
        *(
            asyncio_batcher(_with_workers(ASYNCIO, n), rows, callers, workers=n, largest=LARGEST)
            for n in _counts()
        ),
    ]


@contextmanager
def threads(callers: int) -> Iterator[Scenario]:
    """That many threads calling `run` on the MLP."""
    rows = small_model("mlp", callers * ROWS_PER_CALLER)
    peer = _with_workers(THREAD, 1)
    with ExitStack() as stack:
        yield Scenario(
            name="mlp_threads",
            title=f"{TITLES['mlp']}, {callers} threads calling run",
            contenders=[
                *_thread_crowd(stack, rows, callers, python=True),
                *_ideal_lines(rows),
            ],
            baselines=[peer, IDEAL],
            qualification=Qualification(peer, GOOD_THREAD_SHARE, IDEAL),
            aims=[Aim(DEFAULT, [peer], asked=1.5, hoped=2.2)],
        )


@contextmanager
def coroutines(callers: int) -> Iterator[Scenario]:
    """That many coroutines of one loop on the MLP."""
    rows = small_model("mlp", callers * ROWS_PER_CALLER)
    peer = _with_workers(ASYNCIO, 1)
    with ExitStack() as stack:
        yield Scenario(
            name="mlp_coroutines",
            title=f"{TITLES['mlp']}, {callers} coroutines",
            contenders=[
                *_coroutine_crowd(stack, rows, callers, python=True),
                *_ideal_lines(rows),
            ],
            baselines=[peer, IDEAL],
            qualification=Qualification(peer, GOOD_ASYNCIO_SHARE, IDEAL),
            aims=[
                Aim(DEFAULT, [peer], asked=1.7, hoped=2.1),
                Aim(DEFAULT, [IDEAL], asked=0.95),
            ],
        )


@contextmanager
def null_threads(callers: int) -> Iterator[Scenario]:
    """That many threads calling `run` on a model that costs next to nothing."""
    rows = small_model("identity", callers * ROWS_PER_CALLER)
    with ExitStack() as stack:
        yield Scenario(
            name="null_threads",
            title=f"{TITLES['identity']}, {callers} threads calling run",
            contenders=_thread_crowd(stack, rows, callers),
            baselines=[_with_workers(THREAD, 1)],
        )


@contextmanager
def null_coroutines(callers: int) -> Iterator[Scenario]:
    """That many coroutines on a model that costs next to nothing."""
    rows = small_model("identity", callers * ROWS_PER_CALLER)
    peer = _with_workers(ASYNCIO, 1)
    with ExitStack() as stack:
        yield Scenario(
            name="null_coroutines",
            title=f"{TITLES['identity']}, {callers} coroutines",
            contenders=_coroutine_crowd(stack, rows, callers),
            baselines=[peer],
            aims=[Aim(DEFAULT, [peer], asked=2, hoped=3)],
        )


@contextmanager
def lone(model_name: str) -> Iterator[Scenario]:
    """One caller that nobody keeps company."""
    rows = small_model(model_name, 64)
    with ExitStack() as stack:
        contenders = [
            dynbatch_threads(DEFAULT, load(stack, rows), rows, 1),
            dynbatch_threads(PYTHON, load(stack, rows, execution="python"), rows, 1),
            unbatched(AS_WRITTEN, rows, 1, threads=0),
            unbatched(f"{AS_WRITTEN}, 1 thread a run", rows, 1, threads=1),
            bound(BOUND, rows, threads=1),
            thread_batcher(THREAD, rows, 1, workers=1, largest=LARGEST),
            asyncio_batcher(ASYNCIO, rows, 1, workers=1, largest=LARGEST),
            preformed(IDEAL, rows, 1, 1),
        ]
        for contender in contenders:
            stack.callback(contender.close)
        yield Scenario(
            name=f"{model_name}_lone",
            title=f"{TITLES[model_name]}, a lone caller",
            contenders=contenders,
            baselines=[AS_WRITTEN, IDEAL],
            metric=P50,
            aims=LONE_AIMS[model_name],
        )


LONE_AIMS: dict[str, Sequence[Aim]] = {
    "mlp": [Aim(DEFAULT, [AS_WRITTEN], asked=1.05, metric=P50)],
    "one_gemm": [
        Aim(DEFAULT, [AS_WRITTEN], asked=0.7, metric=P50),
        Aim(DEFAULT, [BOUND], asked=1, metric=P50),
    ],
}


def _busy(name: str, who: str, contenders: Sequence[Contender], aim: Aim) -> Scenario:
    return Scenario(
        name=name,
        title=f"{TITLES['mlp']}, {who} beside a busy Python thread",
        contenders=[beside_busy_thread(contender) for contender in contenders],
        baselines=aim.baselines,
        aims=[aim],
    )


@contextmanager
def busy_lone() -> Iterator[Scenario]:
    """A lone caller while another Python thread computes."""
    rows = small_model("mlp", 64)
    with ExitStack() as stack:
        contenders = [
            dynbatch_threads(DEFAULT, load(stack, rows), rows, 1),
            unbatched(AS_WRITTEN, rows, 1, threads=0),
        ]
        aim = Aim(DEFAULT, [AS_WRITTEN], asked=20)
        yield _busy("mlp_lone_busy", "a lone caller", contenders, aim)


@contextmanager
def busy_threads(callers: int) -> Iterator[Scenario]:
    """A crowd of threads while another Python thread computes."""
    rows = small_model("mlp", callers * ROWS_PER_CALLER)
    with ExitStack() as stack:
        contenders = _thread_crowd(stack, rows, callers)
        aim = Aim(DEFAULT, [_with_workers(THREAD, 1)], asked=2.5)
        yield _busy("mlp_threads_busy", f"{callers} threads calling run", contenders, aim)


@contextmanager
def busy_coroutines(callers: int) -> Iterator[Scenario]:
    """A crowd of coroutines while another Python thread computes."""
    rows = small_model("mlp", callers * ROWS_PER_CALLER)
    with ExitStack() as stack:
        contenders = _coroutine_crowd(stack, rows, callers)
        aim = Aim(DEFAULT, [_with_workers(ASYNCIO, 1)], asked=4)
        yield _busy("mlp_coroutines_busy", f"{callers} coroutines", contenders, aim)
