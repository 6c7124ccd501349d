"""Batches gathered from rows of different lengths, and taken apart: ours, memcpy, NumPy's, torch's.

All write the same batch, over and over, by one thread. Ours and memcpy are called as the core
calls them, in a loop of C++; NumPy's and torch's from Python, as their users do, so that what a
call costs in Python counts for them. memcpy copies as many bytes as the batch has, padding
included; ours reads fewer.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from bench.kernels.library import Array, Kernels
from bench.load.closed_loop import Request, from_threads
from bench.load.contenders import Contender
from bench.load.interleave import Aim, Scenario
from bench.load.row_lengths import lines, sentences

OURS_IN, OURS_OUT = "place_rows", "cut_rows"
BY_ROW, AT_ONCE = "memcpy, row by row", "memcpy, in one piece"
CONCATENATE = "numpy.concatenate"
PAD = "numpy.pad and numpy.concatenate"
SLICES = "numpy.zeros and slices"
COPIES = "numpy slices, copied"
TORCH = "torch.nn.utils.rnn.pad_sequence"
REPEAT_BYTES = 4 * 2**20  # that a call writes at least, so that what a call costs ours is little
EMBEDDING = 384


@contextmanager
def gather_equal(folder: Path) -> Iterator[Scenario]:
    """32 rows of equal length."""
    rng = np.random.default_rng(3)
    rows = [rng.standard_normal((1, EMBEDDING)).astype(np.float32) for _ in range(32)]
    title = f"Gathering 32 rows of {EMBEDDING} floats"
    yield _gather("gather_equal", title, rows, Kernels(folder), [CONCATENATE])


@contextmanager
def gather_sentences(folder: Path) -> Iterator[Scenario]:
    """32 sentences of token ids."""
    rng = np.random.default_rng(3)
    rows = [rng.integers(1, 30000, (1, length)) for length in sentences(32)]
    rows = [rows[i] for i in rng.permutation(len(rows))]
    title = "Gathering 32 sentences of 64-bit token ids, padded to the longest"
    yield _gather("gather_sentences", title, rows, Kernels(folder), [PAD, SLICES, TORCH])


@contextmanager
def gather_lines(folder: Path) -> Iterator[Scenario]:
    """8 images of lines of text."""
    rng = np.random.default_rng(3)
    rows = [rng.standard_normal((1, 3, 48, width)).astype(np.float32) for width in lines(8)]
    rows = [rows[i] for i in rng.permutation(len(rows))]
    title = "Gathering 8 images of lines (3 by 48 by their width), padded to the widest"
    yield _gather("gather_lines", title, rows, Kernels(folder), [PAD, SLICES])


@contextmanager
def cut_sentences(folder: Path) -> Iterator[Scenario]:
    """The embeddings of the tokens of 32 sentences."""
    rng = np.random.default_rng(3)
    lengths = sentences(32)
    batch = rng.standard_normal((32, max(lengths), EMBEDDING)).astype(np.float32)
    expected = [batch[i : i + 1, :length].copy() for i, length in enumerate(lengths)]
    targets = [np.empty_like(row) for row in expected]
    copied = _joined(expected)
    repeats = _repeats(copied.nbytes)
    kernels = Kernels(folder)
    ours = kernels.cut_rows(targets, batch, repeats)

    def slices() -> list[Array]:
        return [batch[i : i + 1, :length].copy() for i, length in enumerate(lengths)]

    def joined_after(call: Callable[[], Any], result: Callable[[], Array]) -> Callable[[], Any]:
        return lambda: (call(), result)[1]

    contenders = [
        _contender(OURS_OUT, joined_after(ours, lambda: _joined(targets)), copied, 32 * repeats),
        *_copies(kernels, copied, expected, repeats),
        _contender(
            COPIES,
            lambda: functools.partial(_joined, _repeated(slices, repeats)),
            copied,
            32 * repeats,
        ),
    ]
    title = f"Cutting the answers of 32 sentences ({EMBEDDING} floats a token) from their batch"
    yield _scenario("cut_sentences", title, contenders, OURS_OUT, copied.nbytes / 32)


def _gather(
    name: str, title: str, rows: Sequence[Array], kernels: Kernels, others: Sequence[str]
) -> Scenario:
    expected = _slices(rows)
    repeats = _repeats(expected.nbytes)
    target = np.empty_like(expected)
    ours = kernels.place_rows(target, rows, repeats)
    pieces = [expected[i : i + 1].copy() for i in range(len(rows))]
    count = len(rows) * repeats
    contenders = [
        _contender(OURS_IN, lambda: (ours(), lambda: target)[1], expected, count),
        *_copies(kernels, expected, pieces, repeats),
    ]
    for other in others:
        gathers = gathering(other, rows)
        if gathers is None:
            continue

        def call(gathers: Callable[[], Array] = gathers) -> Callable[[], Array]:
            result = _repeated(gathers, repeats)
            return lambda: np.asarray(result)

        contenders.append(_contender(other, call, expected, count))
    return _scenario(name, title, contenders, OURS_IN, expected.nbytes / len(rows))


def _copies(
    kernels: Kernels, whole: Array, pieces: Sequence[Array], repeats: int
) -> list[Contender]:
    """Copies of the same bytes: from memory of each row's own, as they come, and at best."""
    contenders = []
    for name, sources in ((BY_ROW, pieces), (AT_ONCE, [whole.copy()])):
        target = np.empty_like(whole)
        memcpy = kernels.copy(target, sources, repeats)

        def call(
            memcpy: Callable[[], None] = memcpy, target: Array = target
        ) -> Callable[[], Array]:
            memcpy()
            return lambda: target

        contenders.append(_contender(name, call, whole, len(pieces) * repeats))
    return contenders


def _scenario(
    name: str, title: str, contenders: Sequence[Contender], ours: str, bytes_per_row: float
) -> Scenario:
    others = [c.name for c in contenders if c.name not in (ours, BY_ROW, AT_ONCE)]
    return Scenario(
        name=name,
        title=title,
        contenders=contenders,
        baselines=[BY_ROW, AT_ONCE],
        aims=[Aim(ours, [BY_ROW], asked=0.8), Aim(ours, others, asked=1.0)],
        notes={"bytes_per_row": bytes_per_row, "torch": _torch() is not None},
    )


def _contender(
    name: str, call: Callable[[], Callable[[], Array]], expected: Array, rows: int
) -> Contender:
    """Its answers are calls that give the array to compare, which is read when the clock stands."""
    requests = [Request(None, expected, rows, tolerance=0.0)]
    measure = functools.partial(
        from_threads, lambda _: call(), lambda result: result(), requests, 1
    )
    return Contender(name, 1, measure)


def gathering(name: str, rows: Sequence[Array]) -> Callable[[], Array] | None:
    """A way to gather rows that others offer; None: torch is not installed."""
    if name == CONCATENATE:
        return lambda: np.concatenate(rows)
    if name == PAD:
        return lambda: _padded(rows)
    if name == SLICES:
        return lambda: _slices(rows)
    torch = _torch()
    if torch is None:
        return None
    tensors = [torch.from_numpy(row[0]) for row in rows]
    pad_sequence = torch.nn.utils.rnn.pad_sequence
    return lambda: pad_sequence(tensors, batch_first=True)


def _torch() -> Any:
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError:
        return None
    torch.set_num_threads(1)
    return torch


def _padded(rows: Sequence[Array]) -> Array:
    longest = max(row.shape[-1] for row in rows)
    keep = [(0, 0)] * (rows[0].ndim - 1)
    return np.concatenate([np.pad(row, [*keep, (0, longest - row.shape[-1])]) for row in rows])


def _slices(rows: Sequence[Array]) -> Array:
    longest = max(row.shape[-1] for row in rows)
    batch = np.zeros((len(rows), *rows[0].shape[1:-1], longest), dtype=rows[0].dtype)
    for place, row in zip(batch, rows, strict=True):
        place[..., : row.shape[-1]] = row[0]
    return batch


def _joined(rows: Sequence[Array]) -> Array:
    return np.concatenate([row.ravel() for row in rows])


def _repeats(bytes_: int) -> int:
    return max(1, REPEAT_BYTES // bytes_)


def _repeated(call: Callable[[], Any], repeats: int) -> Any:
    for _ in range(repeats - 1):
        call()
    return call()
