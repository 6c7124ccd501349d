"""A batcher for threads as a good hand would write it in Python, without a library.

A row is copied into the block of the next batch when it is submitted. Workers take what has
gathered as soon as they are free. Each caller sleeps on a lock of its own, which is the cheapest
way to wake one thread in Python, and gets a view of its rows.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import onnxruntime

Array = np.ndarray[Any, Any]


class _Block:
    """The rows of one batch, and what its callers sleep on."""

    __slots__ = ("answer", "error", "rows", "sleepers")

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.rows = np.empty(shape, dtype=np.float32)
        self.sleepers: list[threading.Lock] = []
        self.answer: Array | None = None
        self.error: Exception | None = None


class _Caller(threading.local):
    """The lock on which a thread sleeps; taken whenever nobody has just woken it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.lock.acquire()


class ThreadBatcher:
    """Batches one-row requests of threads for a model with one input and one output."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        row_shape: tuple[int, ...],
        *,
        max_batch_size: int,
        workers: int,
    ) -> None:
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [session.get_outputs()[0].name]
        self._shape = (max_batch_size, *row_shape)
        self._max_batch_size = max_batch_size
        self._caller = _Caller()
        self._mutex = threading.Lock()
        self._blocks = [_Block(self._shape)]  # the last one is open
        self._idle: list[threading.Lock] = []
        self._closed = False
        self._batches_run = 0
        self._rows_run = 0
        self._threads = [threading.Thread(target=self._work) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    def run(self, row: Array) -> Array:
        """The answer to one row, both with the batch axis first."""
        sleeper = self._caller.lock
        worker = None
        with self._mutex:
            block = self._blocks[-1]
            i = len(block.sleepers)
            if i == self._max_batch_size:
                block = _Block(self._shape)
                self._blocks.append(block)
                i = 0
            block.rows[i] = row[0]
            block.sleepers.append(sleeper)
            if self._idle:
                worker = self._idle.pop()
        if worker is not None:
            worker.release()
        sleeper.acquire()
        if block.error is not None:
            raise block.error
        assert block.answer is not None
        return block.answer[i : i + 1]

    def batches(self) -> tuple[int, int]:
        """Batches run so far, and their rows."""
        return self._batches_run, self._rows_run

    def close(self) -> None:
        with self._mutex:
            self._closed = True
            idle, self._idle = self._idle, []
        for worker in idle:
            worker.release()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        run, name, outputs = self._session.run, self._input, self._outputs
        me = threading.Lock()
        me.acquire()
        while True:
            block = None
            with self._mutex:
                if self._blocks[0].sleepers:
                    block = self._blocks.pop(0)
                    self._batches_run += 1
                    self._rows_run += len(block.sleepers)
                    if not self._blocks:
                        self._blocks.append(_Block(self._shape))
                elif self._closed:
                    return
                else:
                    self._idle.append(me)
            if block is None:
                me.acquire()
                continue
            try:
                block.answer = run(outputs, {name: block.rows[: len(block.sleepers)]})[0]
            except Exception as error:
                block.error = error
            for sleeper in block.sleepers:
                sleeper.release()
