"""Any Python function behind the same queue: `python function.py`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

import dynbatch

Array = npt.NDArray[np.float64]


@dynbatch.batched(max_batch_size=16, batching="always")
def distances(points: Array) -> Array:
    """How far each point is from the origin."""
    lengths: Array = np.linalg.norm(points, axis=1)
    return lengths


def roots(values: Array) -> list[float | ValueError]:
    """A list has one item a row; an exception in it fails the request of its row alone."""
    return [ValueError(f"{value} is negative") if value < 0 else value**0.5 for value in values]


def main() -> None:
    points = np.random.default_rng(0).standard_normal((64, 1, 3))
    with distances, ThreadPoolExecutor(16) as callers:
        answers = np.concatenate(list(callers.map(distances, points)))
        np.testing.assert_allclose(answers, np.linalg.norm(points[:, 0], axis=1))
        stats = distances.batcher.stats()
        print(f"{stats.succeeded} calls in {stats.batches} runs of the function")

    with dynbatch.Batcher(roots, example=np.ones(1)) as batcher:
        futures = [batcher.submit(np.array([value])) for value in (4.0, -1.0, 9.0)]
        for future in futures:
            error = future.exception()
            print(future.result()["output"] if error is None else f"{error!r} <- {error.__cause__}")


if __name__ == "__main__":
    main()
