"""Batches that stand ready before the clock starts: what the model alone can do.

One Python thread, or several, run full batches through IOBinding, inputs and outputs bound once.
Nothing is gathered, copied or handed to a caller: the ideal line of a batcher.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime

Array = np.ndarray[Any, Any]


class PreformedBatch:
    """One batch, bound to a session."""

    def __init__(self, session: onnxruntime.InferenceSession, feeds: Mapping[str, Array]) -> None:
        self._session = session
        self._binding = session.io_binding()
        self._inputs: dict[str, Array] = {}
        for name, array in feeds.items():
            self._inputs[name] = array.copy()  # the value shares the memory of its array
            value = onnxruntime.OrtValue.ortvalue_from_numpy(self._inputs[name])
            self._binding.bind_ortvalue_input(name, value)
        # A first run tells the shapes of the outputs.
        self._outputs = [
            onnxruntime.OrtValue.ortvalue_from_numpy(output)
            for output in session.run(None, dict(feeds))
        ]
        for node, value in zip(session.get_outputs(), self._outputs, strict=True):
            self._binding.bind_ortvalue_output(node.name, value)

    def write(self, name: str, array: Array) -> None:
        """Copies new rows over an input."""
        self._inputs[name][:] = array

    def run(self) -> PreformedBatch:
        """Runs it once more; the answer lies in `outputs()` until the next run."""
        self._session.run_with_iobinding(self._binding)
        return self

    def outputs(self) -> list[Array]:
        return [value.numpy() for value in self._outputs]
