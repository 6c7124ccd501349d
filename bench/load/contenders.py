"""Everything that answers requests, made to be measured in the same way."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import dynbatch
from bench.load.closed_loop import (
    TOLERANCE,
    Array,
    Block,
    Request,
    from_coroutines,
    from_threads,
)
from bench.peers.asyncio_batcher import AsyncioBatcher
from bench.peers.preformed import PreformedBatch
from bench.peers.thread_batcher import ThreadBatcher

Feeds = Mapping[str, Array]


@dataclass(frozen=True)
class Contender:
    """`batches` tells how many batches and rows have been run so far, of those that batch;
    `elements` how many elements of inputs, and how many of them padding, of those that may pad.
    """

    name: str
    callers: int
    measure: Callable[[float], Block]
    batches: Callable[[], tuple[int, int]] = lambda: (0, 0)
    elements: Callable[[], tuple[int, int]] = lambda: (0, 0)
    close: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Rows:
    """A model, requests of one row or more to ask it, and its answers to each row alone.

    All outputs are asked for; the one that is compared is `output`, at `position`, within
    `tolerance` of its largest value.
    """

    path: Path
    feeds: Sequence[Feeds]
    expected: Sequence[Array]
    output: str
    position: int
    tolerance: float

    @classmethod
    def of(cls, path: Path, feeds: Sequence[Feeds], tolerance: float = TOLERANCE) -> Rows:
        """Rows whose answers are compared by the model's last output."""
        model = session(path, threads=1)
        names = [node.name for node in model.get_outputs()]
        expected = [model.run(names[-1:], dict(f))[0] for f in feeds]
        return cls(path, feeds, expected, names[-1], len(names) - 1, tolerance)

    def requests(self) -> list[Request]:
        return [
            Request(f, e, row_count(f), self.tolerance)
            for f, e in zip(self.feeds, self.expected, strict=True)
        ]

    def grouped(self, size: int, callers: int) -> Rows:
        """The rows in requests of that many, one a caller at least; rows recur if need be."""
        total = len(self.feeds)
        groups = [
            [(i * size + j) % total for j in range(size)]
            for i in range(max(callers, total // size))
        ]
        return dataclasses.replace(
            self,
            feeds=[joined([self.feeds[k] for k in group]) for group in groups],
            expected=[np.concatenate([self.expected[k] for k in group]) for group in groups],
        )

    def arrays(self) -> list[Request]:
        """The same for batchers that take the array of a model's one input."""
        (name,) = self.feeds[0]
        return [dataclasses.replace(r, argument=r.argument[name]) for r in self.requests()]

    @property
    def row_shape(self) -> tuple[int, ...]:
        (array,) = self.feeds[0].values()
        return tuple(array.shape[1:])


def row_count(feeds: Feeds) -> int:
    return len(next(iter(feeds.values())))


def joined(feeds: Sequence[Feeds]) -> Feeds:
    """One feed of all their rows."""
    return {name: np.concatenate([each[name] for each in feeds]) for name in feeds[0]}


def session(path: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """A session with that many threads for a run; 0: as users write it, without options."""
    if threads == 0:
        return onnxruntime.InferenceSession(str(path))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(str(path), options)


def itself(answer: Any) -> Array:
    array: Array = answer
    return array


def unbatched(name: str, rows: Rows, callers: int, *, threads: int) -> Contender:
    """`InferenceSession.run` from that many threads on one session, one call a request."""
    run = functools.partial(session(rows.path, threads).run, None)
    output = operator.itemgetter(rows.position)
    return Contender(
        name, callers, functools.partial(from_threads, run, output, rows.requests(), callers)
    )


def bound(name: str, rows: Rows, *, threads: int) -> Contender:
    """`run_with_iobinding` by one caller: the row copied in, the outputs copied out."""
    model = session(rows.path, threads)
    (key,) = rows.feeds[0]
    batch = PreformedBatch(model, rows.feeds[0])
    answer = operator.itemgetter(rows.position)

    def run(array: Array) -> list[Array]:
        batch.write(key, array)
        return [output.copy() for output in batch.run().outputs()]

    return Contender(name, 1, functools.partial(from_threads, run, answer, rows.arrays(), 1))


def preformed(name: str, rows: Rows, batch_size: int, callers: int) -> Contender:
    """Batches that stand ready, from that many threads on one session: see peers/preformed.py."""
    model = session(rows.path, threads=1)
    requests = [
        dataclasses.replace(request, argument=PreformedBatch(model, request.argument))
        for request in rows.grouped(batch_size, callers).requests()
    ]
    return Contender(
        name,
        callers,
        functools.partial(
            from_threads,
            PreformedBatch.run,
            lambda batch: batch.outputs()[rows.position],
            requests,
            callers,
        ),
    )


def thread_batcher(name: str, rows: Rows, callers: int, *, workers: int, largest: int) -> Contender:
    batcher = ThreadBatcher(
        session(rows.path, threads=1), rows.row_shape, max_batch_size=largest, workers=workers
    )
    measure = functools.partial(from_threads, batcher.run, itself, rows.arrays(), callers)
    return Contender(name, callers, measure, batcher.batches, close=batcher.close)


def asyncio_batcher(
    name: str, rows: Rows, callers: int, *, workers: int, largest: int
) -> Contender:
    model = session(rows.path, threads=1)
    requests = rows.arrays()
    ran = [0, 0]

    def measure(seconds: float) -> Block:
        async def main() -> Block:
            batcher = AsyncioBatcher(model, rows.row_shape, max_batch_size=largest, workers=workers)
            try:
                return await from_coroutines(batcher.infer, itself, requests, callers, seconds)
            finally:
                batcher.close()
                for i, count in enumerate(batcher.batches()):
                    ran[i] += count

        return asyncio.run(main())

    return Contender(name, callers, measure, lambda: (ran[0], ran[1]))


def dynbatch_threads(name: str, model: dynbatch.Model, rows: Rows, callers: int) -> Contender:
    """`Model.run`, the call that stands where `InferenceSession.run` stood."""
    run = functools.partial(model.run, None)
    output = operator.itemgetter(rows.position)
    measure = functools.partial(from_threads, run, output, rows.requests(), callers)
    return Contender(name, callers, measure, functools.partial(batches_of, model))


def dynbatch_coroutines(name: str, model: dynbatch.Model, rows: Rows, callers: int) -> Contender:
    """`Model.infer_async`."""
    requests = rows.requests()
    output = operator.itemgetter(rows.output)

    def measure(seconds: float) -> Block:
        return asyncio.run(from_coroutines(model.infer_async, output, requests, callers, seconds))

    return Contender(
        name,
        callers,
        measure,
        functools.partial(batches_of, model),
        functools.partial(elements_of, model),
    )


def batches_of(model: dynbatch.Model) -> tuple[int, int]:
    stats = model.stats()
    return stats.batches, stats.rows


def elements_of(model: dynbatch.Model) -> tuple[int, int]:
    stats = model.stats()
    return stats.elements + stats.padded_elements, stats.padded_elements
