"""What the kernels are held against: all ways to gather rows give the same batch."""

from __future__ import annotations

import numpy as np
import pytest

from bench.kernels import rows as kernels

ROWS = [np.full((1, 2, width), width, dtype=np.float32) for width in (3, 1, 4)]
SEQUENCES = [np.arange(1, length + 1).reshape(1, length) for length in (3, 1, 4)]


@pytest.mark.parametrize("name", [kernels.PAD, kernels.SLICES])
def test_rows_are_padded_along_their_last_axis(name: str) -> None:
    gather = kernels.gathering(name, ROWS)
    assert gather is not None
    assert gather().tolist() == [
        [[3, 3, 3, 0]] * 2,
        [[1, 0, 0, 0]] * 2,
        [[4, 4, 4, 4]] * 2,
    ]


def test_torch_pads_alike_where_it_is_installed() -> None:
    pytest.importorskip("torch")
    gather = kernels.gathering(kernels.TORCH, SEQUENCES)
    assert gather is not None
    assert np.asarray(gather()).tolist() == [[1, 2, 3, 0], [1, 0, 0, 0], [1, 2, 3, 4]]
