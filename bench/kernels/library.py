"""The library that bench/kernels/rows_for_python.cpp becomes, on NumPy arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
NAME = "librows_for_python.so"


class Kernels:
    """Each method returns a call that does the work that many times."""

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        if not path.exists():
            raise FileNotFoundError(
                f"{path}: not there; `cmake --preset release` and `cmake --build --preset release "
                "--target micro_benchmarks` build it"
            )
        self._library = ctypes.CDLL(str(path))

    def place_rows(
        self, target: Array, sources: Sequence[Array], repeats: int
    ) -> Callable[[], None]:
        """Gathers one row each into the batch, padded with zeros."""
        pointers, dims = _pointers(sources), _dims(sources)
        arguments = (
            ctypes.c_void_p(target.ctypes.data),
            _dims([target]),
            ctypes.c_size_t(target.ndim),
            pointers,
            dims,
            ctypes.c_size_t(len(sources)),
            ctypes.c_size_t(target.itemsize),
            ctypes.c_size_t(repeats),
        )
        return _call(self._library.bench_place_rows, arguments, [target, *sources])

    def cut_rows(self, targets: Sequence[Array], source: Array, repeats: int) -> Callable[[], None]:
        """Takes the batch apart into one row each, without the padding."""
        arguments = (
            _pointers(targets),
            _dims(targets),
            ctypes.c_size_t(source.ndim),
            ctypes.c_void_p(source.ctypes.data),
            _dims([source]),
            ctypes.c_size_t(len(targets)),
            ctypes.c_size_t(source.itemsize),
            ctypes.c_size_t(repeats),
        )
        return _call(self._library.bench_cut_rows, arguments, [source, *targets])

    def copy(self, target: Array, pieces: Sequence[Array], repeats: int) -> Callable[[], None]:
        """A memcpy for each piece, one behind the other."""
        sizes = (ctypes.c_size_t * len(pieces))(*(piece.nbytes for piece in pieces))
        arguments = (
            ctypes.c_void_p(target.ctypes.data),
            _pointers(pieces),
            sizes,
            ctypes.c_size_t(len(pieces)),
            ctypes.c_size_t(repeats),
        )
        return _call(self._library.bench_copy, arguments, [target, *pieces])


def _call(function: Any, arguments: Sequence[Any], arrays: Sequence[Array]) -> Callable[[], None]:
    """Keeps the arrays, of which the arguments have only the addresses."""
    for array in arrays:
        if not array.flags.c_contiguous:
            raise ValueError("arrays: expected contiguous ones")

    def call(_kept: Sequence[Array] = arrays) -> None:
        function(*arguments)

    return call


def _pointers(arrays: Sequence[Array]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


def _dims(arrays: Sequence[Array]) -> Any:
    flat = [size for array in arrays for size in array.shape]
    return (ctypes.c_int64 * len(flat))(*flat)
