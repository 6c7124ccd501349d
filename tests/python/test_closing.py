"""The end of a model: asked for, dropped, at exit."""

from __future__ import annotations

import copy
import functools
import gc
import os
import pickle
import signal
import threading
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import dynbatch
from gate import Array, Gate, rows
from model_cases import case_named
from script import run_script

EXECUTIONS = ("native", "python")


def test_close_waits_for_what_is_accepted(gated: dynbatch.Batcher, gate: Gate) -> None:
    gate.hold()
    futures = [gated.submit(rows(0))]
    gate.wait_until_inside()
    futures += [gated.submit(rows(i)) for i in range(1, 20)]
    threading.Thread(target=gate.let_go).start()
    gated.close()
    assert all(future.done() for future in futures)
    for i, future in enumerate(futures):
        assert future.result()["output"][0, 0] == 2 * i
    with pytest.raises(dynbatch.Closed):
        gated.infer(rows(1))
    with pytest.raises(dynbatch.Closed):
        gated.submit(rows(1))
    gated.close()
    gated.close(drain=False)
    assert gated.closed


def test_close_without_draining_cancels_what_waits(gated: dynbatch.Batcher, gate: Gate) -> None:
    gate.hold()
    running = gated.submit(rows(0))
    gate.wait_until_inside()
    waiting = [gated.submit(rows(i)) for i in range(1, 20)]
    closer = threading.Thread(target=gated.close, args=(False,))
    closer.start()
    for future in waiting:
        with pytest.raises(dynbatch.Cancelled):
            future.result()
    gate.let_go()
    closer.join()
    assert running.done()
    stats = gated.stats()
    assert stats.in_flight == 0
    assert stats.accepted == stats.succeeded + stats.cancelled


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("drain", [True, False])
def test_close_in_full_flight_ends_every_request_once(
    drain: bool, execution: str, models: dict[str, Path]
) -> None:
    x = case_named("one_gemm").feeds(1)["x"]
    model = dynbatch.load(models["one_gemm"], execution=execution, batching="always")
    ended: list[str] = []
    started = threading.Semaphore(0)

    def call() -> None:
        while True:
            try:
                model.infer(x)
                ended.append("answered")
            except dynbatch.Cancelled:
                ended.append("cancelled")
            except dynbatch.Closed:
                return
            started.release()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(40):
        started.acquire()
    model.close(drain)
    for thread in threads:
        thread.join()
    stats = model.stats()
    assert stats.in_flight == 0
    assert stats.succeeded == ended.count("answered")
    assert stats.cancelled == ended.count("cancelled")
    assert stats.accepted == len(ended)


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("drain", [True, False])
def test_close_ends_a_delay_and_calls_every_callback_once(
    drain: bool, execution: str, models: dict[str, Path]
) -> None:
    before = set(threading.enumerate())
    x = case_named("one_gemm").feeds(1)["x"]
    model = dynbatch.load(
        models["one_gemm"], execution=execution, batching="always", max_queue_delay=10
    )
    called: list[int] = []
    each = threading.Semaphore(0)

    def call(number: int, _: dynbatch.Future) -> None:
        called.append(number)
        each.release()

    for number in range(20):
        model.submit(x).add_done_callback(functools.partial(call, number))
    model.close(drain)
    for _ in range(20):
        each.acquire()
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert sorted(called) == list(range(20))
    stats = model.stats()
    assert stats.closed_delay == 0
    assert (stats.succeeded, stats.cancelled) == ((20, 0) if drain else (0, 20))


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_with_statement_closes(execution: str, models: dict[str, Path]) -> None:
    before = set(threading.enumerate())
    with dynbatch.load(models["one_gemm"], execution=execution) as model:
        model.run(None, case_named("one_gemm").feeds(1))
    assert model.closed
    assert "closed" in repr(model)
    assert set(threading.enumerate()) <= before


def test_a_with_statement_that_fails_gives_up(gate: Gate) -> None:
    def fail() -> None:
        with dynbatch.Batcher(gate, example=rows(1), batching="always") as batcher:
            gate.hold()
            batcher.submit(rows(0))
            gate.wait_until_inside()
            futures.append(batcher.submit(rows(1)))
            threading.Thread(target=gate.let_go).start()
            raise LookupError

    futures: list[dynbatch.Future] = []
    with pytest.raises(LookupError):
        fail()
    assert futures[0].done()


def make_native(models: dict[str, Path]) -> dynbatch.Model:
    return dynbatch.load(models["one_gemm"])


def make_python(models: dict[str, Path]) -> dynbatch.Model:
    return dynbatch.load(models["one_gemm"], execution="python")


@pytest.mark.parametrize("make", [make_native, make_python])
def test_dropping_closes(
    make: Callable[[dict[str, Path]], dynbatch.Model], models: dict[str, Path]
) -> None:
    before = set(threading.enumerate())
    model = make(models)
    future = model.submit(case_named("one_gemm").feeds(1))
    future.result()
    dropped = weakref.ref(model)
    del model
    gc.collect()
    assert dropped() is None
    assert set(threading.enumerate()) <= before
    # The future holds what its result needs.
    assert future.result()["y"].shape == (1, 64)


def test_dropping_cancels_what_waits(gate: Gate) -> None:
    batcher = dynbatch.Batcher(gate, example=rows(1), batching="always")
    gate.hold()
    running = batcher.submit(rows(0))
    gate.wait_until_inside()
    waiting = batcher.submit(rows(1))

    def let_go_once_cancelled() -> None:
        with pytest.raises(dynbatch.Cancelled):
            waiting.result()
        gate.let_go()

    releaser = threading.Thread(target=let_go_once_cancelled)
    releaser.start()
    del batcher
    gc.collect()
    releaser.join()
    assert running.done()
    assert waiting.cancelled()


@pytest.mark.parametrize("clone", [copy.copy, copy.deepcopy, pickle.dumps])
def test_nothing_is_copied_that_would_die_with_the_original(
    clone: Callable[[object], object], models: dict[str, Path]
) -> None:
    with make_native(models) as model, dynbatch.Batcher(lambda x: x) as batcher:
        for each in (model, batcher):
            with pytest.raises(TypeError, match="owns threads and cannot be copied or pickled"):
                clone(each)


def test_a_function_that_refers_to_its_batcher_is_collected() -> None:
    class Service:
        def __init__(self) -> None:
            self.batcher = dynbatch.Batcher(self.double, example=rows(1))

        def double(self, x: Array) -> Array:
            return 2 * x

    before = set(threading.enumerate())
    service = Service()
    assert service.batcher.infer(rows(2))["output"][0, 0] == 4
    dropped = weakref.ref(service)
    del service
    gc.collect()
    assert dropped() is None
    assert set(threading.enumerate()) <= before


def test_dropping_inside_its_own_run_ends_in_time() -> None:
    holder: list[dynbatch.Batcher] = []
    dropped: list[weakref.ref[dynbatch.Batcher]] = []

    def drop(x: Array) -> Array:
        if dropped:
            holder.clear()
            gc.collect()
        return x

    before = set(threading.enumerate())
    holder.append(dynbatch.Batcher(drop, example=rows(1)))
    dropped.append(weakref.ref(holder[0]))
    future = holder[0].submit(rows(1))
    assert future.exception() is None or isinstance(future.exception(), dynbatch.Error)
    for thread in set(threading.enumerate()) - before:
        thread.join()
    assert dropped[0]() is None


def test_arrays_that_a_function_keeps_stay_readable() -> None:
    kept: list[Array] = []

    def keep(x: Array) -> Array:
        kept.append(x)
        return x

    batcher = dynbatch.Batcher(keep, example=rows(1), batching="always")
    batcher.infer(rows(7))
    batcher.close()
    del batcher
    gc.collect()
    for array in kept:
        assert array.copy().shape[1] == 4


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_exit_with_everything_in_use(execution: str, models: dict[str, Path]) -> None:
    out = run_script(
        f"""
        import sys, threading
        import numpy as np
        import dynbatch

        x = np.ones((1, 64), dtype=np.float32)
        model = dynbatch.load(sys.argv[1], execution={execution!r})
        futures = [model.submit(x) for _ in range(20)]
        futures[0].add_done_callback(lambda future: None)

        def call_for_ever():
            try:
                while True:
                    model.infer(x)
            except (dynbatch.Closed, dynbatch.Cancelled):
                pass

        for daemon in (True, False):
            threading.Thread(target=call_for_ever, daemon=daemon).start()
        unread = model.submit(x)
        kept = model.run(None, {{"x": x}})
        print("end of main")
        """,
        models["one_gemm"],
    )
    assert out == "end of main\n"


def test_exit_while_a_daemon_waits() -> None:
    run_script(
        """
        import threading
        import numpy as np
        import dynbatch

        inside = threading.Event()
        release = threading.Event()
        armed = []

        def hold(x):
            if armed:
                inside.set()
                release.wait()
            return x

        batcher = dynbatch.Batcher(hold, example=np.ones((1, 2)))
        armed.append(True)
        threads = [
            threading.Thread(target=batcher.infer, args=(np.ones((1, 2)),), daemon=True)
            for _ in range(4)
        ]
        threading.excepthook = lambda arguments: None
        for thread in threads:
            thread.start()
        inside.wait()
        threading.Timer(0.1, release.set).start()
        """
    )


def test_exit_runs_the_callbacks_of_what_it_cancels() -> None:
    out = run_script(
        """
        import asyncio, threading
        import numpy as np
        import dynbatch

        x = np.ones((1, 2))
        batcher = dynbatch.Batcher(
            lambda x: x, example=x, batching="always", max_queue_delay=10
        )
        submitted = threading.Event()

        async def serve():
            task = asyncio.create_task(batcher.infer_async(x))
            await asyncio.sleep(0)
            submitted.set()
            try:
                await task
            except dynbatch.Error:
                pass

        threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
        submitted.wait()
        future = batcher.submit(x)
        future.add_done_callback(lambda future: print("cancelled:", future.cancelled()))
        print("end of main")
        """
    )
    assert out == "end of main\ncancelled: True\n"


def test_ctrl_c_ends_the_wait_for_a_close(gated: dynbatch.Batcher, gate: Gate) -> None:
    main = threading.get_ident()
    runtime = gated._runtime
    assert runtime is not None
    gate.hold()
    future = gated.submit(rows(1))
    gate.wait_until_inside()

    def press() -> None:
        while not runtime.core.closed:
            os.sched_yield()
        signal.pthread_kill(main, signal.SIGINT)

    finger = threading.Thread(target=press)
    finger.start()
    with pytest.raises(KeyboardInterrupt):
        gated.close()
    finger.join()
    assert not future.done()
    gate.let_go()
    gated.close()
    np.testing.assert_array_equal(future.result()["output"], rows(2))
