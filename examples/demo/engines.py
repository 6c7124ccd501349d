"""Three ways to run one model: as users write it, unbatched on every CPU, and dynbatch.

All take the same feeds and give the same arrays, from threads and from coroutines.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime

Array = np.ndarray[Any, Any]
Feeds = dict[str, Array]

WORKERS = len(os.sched_getaffinity(0))
AS_WRITTEN, UNBATCHED, BATCHED = "InferenceSession", "unbatched", "dynbatch"


@dataclass(frozen=True)
class Model:
    """A model file, the shapes of its rows, and how the demo calls it.

    `masks` tells of an input which other one masks its padding.
    """

    name: str
    path: Path
    max_batch_size: int
    dimensions: Mapping[str | tuple[str, int], int] | None = None
    image_sizes: Sequence[tuple[int, int]] | None = None
    lengths: Mapping[str | tuple[str, int], Sequence[int]] | None = None
    masks: Mapping[str, str] = field(default_factory=dict)
    outputs: list[str] | None = None


@dataclass(frozen=True)
class Conclusion:
    """What dynbatch measured at load, and the batches it has formed since."""

    cap: int
    seconds_by_gear: Mapping[tuple[int, int], float]
    """By the last of a row's free dimensions (0: it has none), and by rows."""
    batches_by_size: Mapping[int, int]
    elements: int
    padded_elements: int


class Engine(Protocol):
    """One way to run one model."""

    label: str
    threads: int
    """How many threads should call at once."""
    load_seconds: float

    def run(self, feeds: Feeds) -> list[Array]:
        """Run one request and block until its answer is there."""
        ...

    async def run_async(self, feeds: Feeds) -> list[Array]:
        """Run one request without blocking the event loop."""
        ...

    def conclusion(self) -> Conclusion | None: ...

    def close(self) -> None: ...


class Session:
    """ONNX Runtime by itself: one shared session, one run for each request."""

    def __init__(self, model: Model, label: str, threads: int, intra_op_threads: int = 0) -> None:
        """`intra_op_threads` are ONNX Runtime's own: 0 is its default, one for each CPU."""
        started = time.perf_counter()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = intra_op_threads
        self.label = label
        self.threads = threads
        self._outputs = model.outputs
        self._session = onnxruntime.InferenceSession(str(model.path), options)
        self._pool = ThreadPoolExecutor(threads)
        self.load_seconds = time.perf_counter() - started

    def run(self, feeds: Feeds) -> list[Array]:
        answer: list[Array] = self._session.run(self._outputs, feeds)
        return answer

    async def run_async(self, feeds: Feeds) -> list[Array]:
        return await asyncio.get_running_loop().run_in_executor(self._pool, self.run, feeds)

    def conclusion(self) -> Conclusion | None:
        return None

    def close(self) -> None:
        self._pool.shutdown()


class Dynbatch:
    """The same session, batching behind its callers' backs."""

    label = BATCHED

    def __init__(self, model: Model, threads: int) -> None:
        import dynbatch

        started = time.perf_counter()
        self.threads = threads
        self._outputs = model.outputs
        self._model = dynbatch.load(
            model.path,
            max_batch_size=model.max_batch_size,
            dimensions=model.dimensions,
            image_sizes=model.image_sizes,
            lengths=model.lengths,
            inputs={name: dynbatch.Input(mask=mask) for name, mask in model.masks.items()},
            outputs=model.outputs,
        )
        self.load_seconds = time.perf_counter() - started

    def run(self, feeds: Feeds) -> list[Array]:
        answer: list[Array] = self._model.run(self._outputs, feeds)
        return answer

    async def run_async(self, feeds: Feeds) -> list[Array]:
        answer = await self._model.infer_async(feeds)
        return [answer[name] for name in self._outputs or answer]

    def conclusion(self) -> Conclusion | None:
        stats = self._model.stats()
        return Conclusion(
            cap=stats.gear_table.cap,
            seconds_by_gear={
                (g.sizes[-1] if g.sizes else 0, g.batch_size): g.seconds
                for g in stats.gear_table.gears
                if g.seconds
            },
            batches_by_size={n: c for n, c in enumerate(stats.batches_by_size) if c},
            elements=stats.elements,
            padded_elements=stats.padded_elements,
        )

    def close(self) -> None:
        self._model.close()


def engines_for(model: Model, threads: int, *, baseline_only: bool) -> list[Engine]:
    """The ways that are compared: the second is the reference, the last does the job."""
    engines: list[Engine] = [
        Session(model, AS_WRITTEN, threads),
        Session(model, UNBATCHED, WORKERS, intra_op_threads=1),
    ]
    if not baseline_only:
        engines.append(Dynbatch(model, threads))
    return engines
