"""What ONNX Runtime answers without dynbatch, and how answers are compared with it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

Array = np.ndarray[Any, Any]


def session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options)


def answers_of(run: onnxruntime.InferenceSession, feeds: Mapping[str, Array]) -> dict[str, Array]:
    names = [node.name for node in run.get_outputs()]
    return dict(zip(names, run.run(None, dict(feeds)), strict=True))


def assert_close(
    got: Mapping[str, Array], expected: Mapping[str, Array], *, tolerance: float
) -> None:
    """Equal within `tolerance` of max|y|; to the last bit where it is 0."""
    assert list(got) == list(expected)
    for name, reference in expected.items():
        array = got[name]
        assert array.shape == reference.shape, name
        assert array.dtype == reference.dtype, name
        if tolerance == 0 or reference.size == 0:
            np.testing.assert_array_equal(array, reference, err_msg=name)
            continue
        scale = max(float(np.abs(reference.astype(np.float64)).max()), 1e-30)
        gap = float(np.abs(array.astype(np.float64) - reference.astype(np.float64)).max())
        assert gap <= tolerance * scale, f"{name}: {gap / scale:.2g} of max|y|"


def share_in_company(batches_by_size: tuple[int, ...]) -> float:
    """The share of rows that ran in batches of two or more."""
    rows = [size * count for size, count in enumerate(batches_by_size)]
    return sum(rows[2:]) / max(1, sum(rows))
