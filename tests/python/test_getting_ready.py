"""What does not get ready leaves no thread behind."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import dynbatch
from gate import Array, rows
from script import run_script


def test_ctrl_c_while_a_function_gets_ready_does_not_keep_the_process() -> None:
    out = run_script(
        """
        import signal, threading
        import numpy as np
        import dynbatch

        def interrupt(*_):
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            handled.set()
            raise KeyboardInterrupt

        signal.signal(signal.SIGINT, interrupt)
        handled = threading.Event()
        inside = threading.Event()
        leave = threading.Event()

        def function(x):
            inside.set()
            leave.wait()
            return x

        def press():
            inside.wait()
            # A signal that comes a moment before a wait does not end it: the finger comes again.
            while not handled.wait(0.01):
                signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

        threading.Thread(target=press).start()
        try:
            dynbatch.Batcher(function, example=np.ones((1, 2)), workers=2)
        except KeyboardInterrupt:
            print("interrupted")
        leave.set()
        """
    )
    assert out == "interrupted\n"


def test_ctrl_c_while_workers_start_ends_those_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        if thread.name == "dynbatch-worker-2":
            raise KeyboardInterrupt
        start(thread)

    before = set(threading.enumerate())
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            dynbatch.Batcher(lambda x: x, example=rows(1), workers=3)
    assert set(threading.enumerate()) <= before


def model(models: dict[str, Path]) -> object:
    return dynbatch.load(models["softmax_axis0"], execution="python")


def function(models: dict[str, Path]) -> object:
    def centred(x: Array) -> object:
        return x - x.mean(axis=0)

    return dynbatch.Batcher(centred, example=np.eye(3, dtype=np.float32), workers=2)


@pytest.mark.parametrize("make", [model, function])
def test_whatever_a_warning_raises_ends_the_workers(
    make: Callable[[dict[str, Path]], object],
    models: dict[str, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def tell(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    before = set(threading.enumerate())
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", tell)
        with pytest.raises(KeyboardInterrupt):
            make(models)
    assert set(threading.enumerate()) <= before


def test_close_while_a_function_gets_ready_refuses_the_first_request() -> None:
    inside = threading.Event()
    leave = threading.Event()
    errors: list[BaseException] = []

    def function(x: Array) -> Array:
        inside.set()
        leave.wait()
        return x

    def first() -> None:
        try:
            batcher.infer(rows(1))
        except dynbatch.Error as error:
            errors.append(error)

    before = set(threading.enumerate())
    batcher = dynbatch.Batcher(function)
    caller = threading.Thread(target=first)
    caller.start()
    inside.wait()
    batcher.close()
    leave.set()
    caller.join()
    assert [type(error) for error in errors] == [dynbatch.Closed]
    assert set(threading.enumerate()) <= before
