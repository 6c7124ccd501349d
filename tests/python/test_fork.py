"""A process that was forked from the one that loaded a model."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import threading
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest

import dynbatch
from gate import Gate, rows
from script import run_script

EXECUTIONS = ("native", "python")


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_fork_is_told_to_load_again(execution: str, models: dict[str, Path]) -> None:
    out = run_script(
        f"""
        import os, sys, gc, warnings
        import numpy as np
        import dynbatch

        warnings.simplefilter("ignore")
        x = np.ones((1, 64), dtype=np.float32)
        model = dynbatch.load(sys.argv[1], execution={execution!r})
        gears = dynbatch.GearModel(sys.argv[1], gears=[1])
        expected = model.run(None, {{"x": x}})[0]
        future = model.submit(x)
        child = os.fork()
        if child == 0:
            refused = []
            calls = [
                lambda: model.run(None, {{"x": x}}),
                lambda: model.submit(x),
                lambda: gears.execute(x),
            ]
            for call in calls:
                try:
                    call()
                except dynbatch.Closed as error:
                    refused.append("after fork" in str(error))
            model.close()
            closed = model.closed
            del model, gears, future
            gc.collect()
            again = dynbatch.load(sys.argv[1])
            same = (again.run(None, {{"x": x}})[0] == expected).all()
            again.close()
            os._exit(0 if refused == [True] * 3 and closed and same else 1)
        _, status = os.waitpid(child, 0)
        print(status, (model.run(None, {{"x": x}})[0] == expected).all())
        model.close()
        """,
        models["one_gemm"],
    )
    assert out == "0 True\n"


def test_a_future_of_the_parent_is_not_waited_for_in_a_fork(
    gated: dynbatch.Batcher, gate: Gate
) -> None:
    gate.hold()
    future = gated.submit(rows(0))
    gate.wait_until_inside()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        try:
            future.result()
        except dynbatch.Closed:
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status == 0
    gate.let_go()
    np.testing.assert_array_equal(future.result()["output"], rows(0))


def test_every_entry_of_a_fork_is_refused_and_it_ends() -> None:
    out = run_script(
        """
        import asyncio, os, signal, sys, warnings
        import numpy as np
        import dynbatch

        async def wait_for(future):
            return await future

        warnings.simplefilter("ignore")
        x = np.ones((1, 2))
        model = dynbatch.Batcher(
            lambda x: x, example=x, batching="always", max_queue_delay=10
        )
        future = model.submit(x)
        future.add_done_callback(lambda future: None)
        child = os.fork()
        if child == 0:
            signal.alarm(30)  # ends a child that hangs
            refused = 0
            calls = [
                lambda: model.infer(x),
                lambda: list(model.map([x])),
                lambda: asyncio.run(model.infer_async(x)),
                lambda: asyncio.run(wait_for(future)),
                lambda: future.result(),
                lambda: future.add_done_callback(print),
                lambda: future.as_concurrent(),
            ]
            for call in calls:
                try:
                    call()
                except dynbatch.Closed:
                    refused += 1
            sys.exit(len(calls) - refused)
        _, status = os.waitpid(child, 0)
        print(status)
        model.close(drain=False)
        """
    )
    assert out == "0\n"


def forked_while_held(lock: AbstractContextManager[bool], in_child: Callable[[], bool]) -> int:
    """The status of a child, forked while another thread held the lock: 0 if `in_child` is true."""
    locked = threading.Event()
    forked = threading.Event()

    def hold() -> None:
        with lock:
            locked.set()
            forked.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    locked.wait()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        signal.alarm(30)  # ends a child that waits for the lock
        try:
            os._exit(0 if in_child() else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    forked.set()
    holder.join()
    return status


def refuses(call: Callable[[], object]) -> bool:
    try:
        call()
    except dynbatch.Closed as error:
        return "after fork" in str(error)
    return False


def test_a_lock_of_callbacks_that_a_fork_inherits_is_not_waited_for(
    gated: dynbatch.Batcher,
) -> None:
    runtime = gated._runtime
    assert runtime is not None
    future = gated.submit(rows(1))
    future.result()

    def in_child() -> bool:
        gated.close()
        return refuses(lambda: future.add_done_callback(print))

    assert forked_while_held(runtime.callbacks._lock, in_child) == 0


def test_a_lock_of_loops_that_a_fork_inherits_is_not_waited_for(gated: dynbatch.Batcher) -> None:
    asyncio.run(gated.infer_async(rows(1)))
    runtime = gated._runtime
    assert runtime is not None

    def in_child() -> bool:
        refused = refuses(lambda: asyncio.run(gated.infer_async(rows(2))))
        gated.close()
        return refused

    assert forked_while_held(runtime.ports._lock, in_child) == 0


def test_a_port_of_the_parent_that_a_fork_collects_waits_for_no_lock(
    gated: dynbatch.Batcher,
) -> None:
    loop = asyncio.new_event_loop()
    loop.run_until_complete(gated.infer_async(rows(1)))
    runtime = gated._runtime
    assert runtime is not None
    (_, port) = next(iter(runtime.ports._ports.values()))
    alive = port()
    assert alive is not None
    descriptor = alive.fileno()
    del alive

    def in_child() -> bool:
        loop.remove_reader(descriptor)  # which holds the only reference
        gc.collect()
        return port() is None

    assert forked_while_held(runtime.ports._lock, in_child) == 0
    loop.close()


def test_a_batcher_that_was_never_called_is_refused_in_a_fork() -> None:
    with dynbatch.Batcher(lambda x: x) as batcher:

        def in_child() -> bool:
            calls: list[Callable[[], object]] = [
                lambda: batcher.infer(rows(1)),
                lambda: batcher.submit(rows(1)),
                lambda: list(batcher.map([rows(1)])),
                lambda: asyncio.run(batcher.infer_async(rows(1))),
                lambda: batcher.stats(),
                lambda: batcher.gears,
                lambda: batcher.memory_plan(),
                lambda: batcher.max_queue_delay,
            ]
            refused = [refuses(call) for call in calls]
            closed = batcher.closed
            batcher.close()
            return all(refused) and closed

        assert forked_while_held(batcher._lock, in_child) == 0
        np.testing.assert_array_equal(batcher.infer(rows(1))["output"], rows(1))
