"""What one bad request in a hundred costs its neighbours."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

import dynbatch
from bench.load.models import SMALL_MODELS
from bench.soak.figure import Figure
from bench.soak.process import silent_errors

CALLERS = 16
BLOCKS = 5
BLOCK_SECONDS = 1.0
SHARE = 0.01

Array = np.ndarray[Any, Any]


def poison(scale: float) -> Iterator[Figure]:
    """Interleaved blocks with and without poison: rate and p99 of those who are not guilty."""
    rates: dict[float, list[float]] = {0.0: [], SHARE: []}
    p99s: dict[float, list[float]] = {0.0: [], SHARE: []}
    path = SMALL_MODELS / "guarded_gather.onnx"
    with silent_errors(), dynbatch.load(path, batching="always", max_batch_size=8) as model:
        for _ in range(BLOCKS):
            for share in (0.0, SHARE):
                rate, p99 = _block(model, share, max(0.3, BLOCK_SECONDS * scale))
                rates[share].append(rate)
                p99s[share].append(p99)
    for share in (0.0, SHARE):
        name = f"{share:.0%} poison, {CALLERS} callers"
        yield Figure(f"{name}: answers a second, median", float(np.median(rates[share])))
        yield Figure(f"{name}: p99 of the answered, median", float(np.median(p99s[share])), "ms")


def _block(model: dynbatch.Model, share: float, seconds: float) -> tuple[float, float]:
    times: list[float] = []
    failures: list[BaseException] = []
    end = time.perf_counter() + seconds

    def call(index: int) -> None:
        random = np.random.default_rng(index)
        good = random.integers(0, 100, (1, 4))
        bad = np.full((1, 4), 100_000, dtype=np.int64)
        mine = []
        while (start := time.perf_counter()) < end:
            guilty = random.random() < share
            try:
                model.infer(bad if guilty else good)
            except dynbatch.ExecutionError as error:
                if not guilty:
                    failures.append(error)
                continue
            mine.append(time.perf_counter() - start)
        times.extend(mine)

    threads = [threading.Thread(target=call, args=(index,)) for index in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return len(times) / seconds, float(np.quantile(times, 0.99)) * 1e3
