"""A batcher for coroutines as a good hand would write it in Python, without a library.

A row is copied into the block of the next batch when it is submitted. A batch starts as soon as a
worker is free, at the end of the loop's pass, so that all who submit within one pass share it. The
workers are threads that take batches from a queue; a finished batch costs the loop one wake-up,
and each caller gets a view of its rows.
"""

from __future__ import annotations

import asyncio
import threading
from queue import SimpleQueue
from typing import Any

import numpy as np
import onnxruntime

Array = np.ndarray[Any, Any]


class _Block:
    """The rows of one batch, and who waits for them."""

    __slots__ = ("futures", "rows")

    def __init__(self, rows: Array) -> None:
        self.rows = rows
        self.futures: list[asyncio.Future[Array]] = []


class AsyncioBatcher:
    """Batches one-row requests of coroutines for a model with one input and one output.

    It belongs to the event loop that runs when it is made.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        row_shape: tuple[int, ...],
        *,
        max_batch_size: int,
        workers: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._session = session
        self._input = session.get_inputs()[0].name
        self._outputs = [session.get_outputs()[0].name]
        self._shape = (max_batch_size, *row_shape)
        self._max_batch_size = max_batch_size
        self._idle_workers = workers
        self._free: list[_Block] = []
        self._open = self._new_block()
        self._start_is_due = False
        self._batches_run = 0
        self._rows_run = 0
        self._batches: SimpleQueue[_Block | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    async def infer(self, row: Array) -> Array:
        """The answer to one row, both with the batch axis first."""
        future: asyncio.Future[Array] = self._loop.create_future()
        block = self._open
        futures = block.futures
        block.rows[len(futures)] = row[0]
        futures.append(future)
        if len(futures) == self._max_batch_size:
            self._start()
        elif self._idle_workers > 0 and not self._start_is_due:
            self._start_is_due = True
            self._loop.call_soon(self._start_if_idle)
        return await future

    def batches(self) -> tuple[int, int]:
        """Batches run so far, and their rows."""
        return self._batches_run, self._rows_run

    def close(self) -> None:
        for _ in self._threads:
            self._batches.put(None)
        for thread in self._threads:
            thread.join()

    def _new_block(self) -> _Block:
        return self._free.pop() if self._free else _Block(np.empty(self._shape, dtype=np.float32))

    def _start(self) -> None:
        self._idle_workers -= 1  # below zero: batches wait for a worker
        self._batches.put(self._open)
        self._open = self._new_block()

    def _start_if_idle(self) -> None:
        self._start_is_due = False
        if self._idle_workers > 0 and self._open.futures:
            self._start()

    def _work(self) -> None:
        run, name, outputs = self._session.run, self._input, self._outputs
        call_soon_threadsafe = self._loop.call_soon_threadsafe
        while (block := self._batches.get()) is not None:
            try:
                answer = run(outputs, {name: block.rows[: len(block.futures)]})[0]
            except Exception as error:
                call_soon_threadsafe(self._fail, block, error)
            else:
                call_soon_threadsafe(self._finish, block, answer)

    def _finish(self, block: _Block, answer: Array) -> None:
        for i, future in enumerate(block.futures):
            if not future.done():
                future.set_result(answer[i : i + 1])
        self._recycle(block)

    def _fail(self, block: _Block, error: Exception) -> None:
        for future in block.futures:
            if not future.done():
                future.set_exception(error)
        self._recycle(block)

    def _recycle(self, block: _Block) -> None:
        self._batches_run += 1
        self._rows_run += len(block.futures)
        block.futures = []
        self._free.append(block)
        self._idle_workers += 1
        self._start_if_idle()
