"""A function that can be held inside a run, so that requests meet without any clock."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

EXAMPLE = np.ones((1, 4), dtype=np.float32)


class Gate:
    """y = 2 x. While it is held, a run waits inside."""

    def __init__(self) -> None:
        self.batches: list[int] = []
        self._open = threading.Event()
        self._open.set()
        self._inside = threading.Semaphore(0)

    def __call__(self, x: Array) -> Array:
        self.batches.append(len(x))
        if not self._open.is_set():
            self._inside.release()
            self._open.wait()
        return 2 * x

    def hold(self) -> None:
        self._open.clear()

    def wait_until_inside(self) -> None:
        """Blocks until one more run is held."""
        self._inside.acquire()

    def let_go(self) -> None:
        self._open.set()


def rows(*values: float) -> Array:
    """One row of four equal elements for each value."""
    return np.repeat(np.array(values, dtype=np.float32)[:, None], 4, axis=1)
