"""A batcher for coroutines whose rows differ in shape, as a good hand would write it in Python.

What waits is looked at whenever a worker is free, at the end of the loop's pass. How it is cut into
batches is the one thing in which such batchers differ:

- `oldest_first`: the oldest requests, whatever their lengths, padded to the longest of them;
- `by_length`: all that wait, sorted by length and cut into batches, padded to the longest of each;
- `by_shape`: the oldest request, and others of exactly its shape; nothing is padded.

The workers are threads that take batches from a queue, pad the rows into one array an input with
NumPy and run it. A finished batch costs the loop one wake-up, and each caller gets a view of its
row. Rows are padded with zeros behind their end along the axis after the batch's; outputs have one
row a request and are not padded.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeAlias

import numpy as np
import onnxruntime

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Waiting:
    """One row that waits: its inputs, each with the batch axis first, and who waits for it."""

    feeds: Mapping[str, Array]
    shape: tuple[int, ...]  # of its first input
    future: asyncio.Future[Array]


Batch: TypeAlias = list[Waiting]
#: Takes batches of that many rows at most out of what waits, oldest first.
Cut: TypeAlias = Callable[[list[Waiting], int], list[Batch]]


def oldest_first(waiting: list[Waiting], largest: int) -> list[Batch]:
    batch = waiting[:largest]
    del waiting[:largest]
    return [batch]


def by_length(waiting: list[Waiting], largest: int) -> list[Batch]:
    ordered = sorted(waiting, key=lambda request: request.shape[1])
    waiting.clear()
    return [ordered[i : i + largest] for i in range(0, len(ordered), largest)]


def by_shape(waiting: list[Waiting], largest: int) -> list[Batch]:
    shape = waiting[0].shape
    batch = [request for request in waiting if request.shape == shape][:largest]
    taken = set(map(id, batch))
    waiting[:] = [request for request in waiting if id(request) not in taken]
    return [batch]


class PaddingBatcher:
    """Batches one-row requests of coroutines for one output of a model.

    It belongs to the event loop that runs when it is made.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        output: str,
        cut: Cut,
        *,
        max_batch_size: int,
        workers: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._session = session
        self._outputs = [output]
        self._cut = cut
        self._max_batch_size = max_batch_size
        self._waiting: list[Waiting] = []
        self._idle_workers = workers  # below zero: batches wait for a worker
        self._start_is_due = False
        self._batches_run = self._rows_run = 0
        self._elements_run = self._padding_run = 0
        self._batches: SimpleQueue[Batch | None] = SimpleQueue()
        self._threads = [threading.Thread(target=self._work) for _ in range(workers)]
        for thread in self._threads:
            thread.start()

    async def infer(self, feeds: Mapping[str, Array]) -> Array:
        """The answer to one row, both with the batch axis first."""
        own = {name: array.copy() for name, array in feeds.items()}
        future: asyncio.Future[Array] = self._loop.create_future()
        self._waiting.append(Waiting(own, next(iter(own.values())).shape, future))
        if self._idle_workers > 0 and not self._start_is_due:
            self._start_is_due = True
            self._loop.call_soon(self._start_if_idle)
        return await future

    def batches(self) -> tuple[int, int]:
        """Batches run so far, and their rows."""
        return self._batches_run, self._rows_run

    def elements(self) -> tuple[int, int]:
        """Elements of inputs run so far, and those of them that padding added."""
        return self._elements_run, self._padding_run

    def close(self) -> None:
        for _ in self._threads:
            self._batches.put(None)
        for thread in self._threads:
            thread.join()

    def _start_if_idle(self) -> None:
        self._start_is_due = False
        while self._idle_workers > 0 and self._waiting:
            for batch in self._cut(self._waiting, self._max_batch_size):
                self._idle_workers -= 1
                self._batches.put(batch)

    def _work(self) -> None:
        run, outputs = self._session.run, self._outputs
        call_soon_threadsafe = self._loop.call_soon_threadsafe
        while (batch := self._batches.get()) is not None:
            try:
                padded = joined_padded([request.feeds for request in batch])
                answer = run(outputs, padded)[0]
            except Exception as error:
                call_soon_threadsafe(self._fail, batch, error)
            else:
                elements = sum(array.size for array in padded.values())
                call_soon_threadsafe(self._finish, batch, answer, elements)

    def _finish(self, batch: Batch, answer: Array, elements: int) -> None:
        for i, request in enumerate(batch):
            if not request.future.done():
                request.future.set_result(answer[i : i + 1])
        own = sum(array.size for request in batch for array in request.feeds.values())
        self._elements_run += elements
        self._padding_run += elements - own
        self._end(batch)

    def _fail(self, batch: Batch, error: Exception) -> None:
        for request in batch:
            if not request.future.done():
                request.future.set_exception(error)
        self._end(batch)

    def _end(self, batch: Batch) -> None:
        self._batches_run += 1
        self._rows_run += len(batch)
        self._idle_workers += 1
        self._start_if_idle()


def joined_padded(rows: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """The inputs of a batch of rows, padded to the longest."""
    return {name: _joined([row[name] for row in rows]) for name in rows[0]}


def _joined(arrays: Sequence[Array]) -> Array:
    longest = max(array.shape[1] for array in arrays)
    if all(array.shape[1] == longest for array in arrays):
        return np.concatenate(arrays) if len(arrays) > 1 else arrays[0]
    padded = np.zeros((len(arrays), longest, *arrays[0].shape[2:]), dtype=arrays[0].dtype)
    for row, array in zip(padded, arrays, strict=True):
        row[: array.shape[1]] = array[0]
    return padded
