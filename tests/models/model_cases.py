"""Small ONNX models, each with one trait that a batching runtime has to get right.

Weights are seeded, so that every build gives the same bytes. A case says what the model is for,
what its rows are (`Rows`), and how feeds are made:

    for case in CASES:
        case.write(folder)                    # folder/<case.name>.onnx
        feeds = case.feeds(3)                 # three rows, the same on every call

`python tests/models/build.py OUTDIR` writes all of them, and tests import this module with
tests/models on the path.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx

import model_graphs
import odd_graphs
import ragged_graphs
import recurrent_graphs
import shape_graphs
from model_graphs import Feeds, normal

Dimensions = Mapping[str | tuple[str, int], int]


class Rows(enum.Enum):
    """What a runtime may do with the rows of a model."""

    INDEPENDENT = "a row has the same answer in any company"
    MIXED = "a row's answer depends on its neighbours: never merge"
    FIXED = "the batch axis has one static size above one: fill it"
    GATHERED = "independent rows that lie in another way than one by one along axis 0"
    RAGGED = "rows follow each other in one flat tensor, and other inputs tell where they are"
    REFUSED = "not loadable: the error names the way out"


@dataclass(frozen=True)
class ModelCase:
    """One model: how it is built, what its rows are, and feeds for it.

    `feeds(n)` gives n rows. `dimensions` binds free dimensions other than the batch axis;
    `shared` names the inputs without a batch axis; `row_counts` are the batch sizes it runs.
    `batch_axes` of inputs and outputs, where it is not 0 for all; None: there is none.
    """

    build: Callable[[], onnx.ModelProto]
    rows: Rows
    make_feeds: Callable[[int, np.random.Generator], Feeds]
    dimensions: Dimensions = field(default_factory=dict)
    shared: frozenset[str] = frozenset()
    row_counts: tuple[int, ...] = (1, 2, 3)
    batch_axes: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.build.__name__

    def feeds(self, n: int, seed: int = 0) -> Feeds:
        return self.make_feeds(n, np.random.default_rng([seed, n]))

    def write(self, folder: Path) -> Path:
        path = folder / f"{self.name}.onnx"
        path.write_bytes(self.build().SerializeToString(deterministic=True))
        return path


CASES: tuple[ModelCase, ...] = (
    ModelCase(model_graphs.mlp, Rows.INDEPENDENT, normal(x=(256,))),
    ModelCase(model_graphs.one_gemm, Rows.INDEPENDENT, normal(x=(64,))),
    ModelCase(model_graphs.identity, Rows.INDEPENDENT, normal(x=(16,))),
    ModelCase(
        recurrent_graphs.voice_activity, Rows.INDEPENDENT, normal(sound=(576,), h=(128,), c=(128,))
    ),
    ModelCase(model_graphs.two_inputs, Rows.INDEPENDENT, normal(image=(3, 416, 416), box=(4,))),
    ModelCase(model_graphs.scalar_rows, Rows.INDEPENDENT, normal(x=())),
    ModelCase(model_graphs.many_types, Rows.INDEPENDENT, model_graphs.many_types_feeds),
    ModelCase(model_graphs.guarded_gather, Rows.INDEPENDENT, model_graphs.gather_feeds),
    ModelCase(model_graphs.default_input, Rows.INDEPENDENT, normal(x=(8,))),
    ModelCase(model_graphs.unknown_inner_output, Rows.INDEPENDENT, normal(x=(8,))),
    ModelCase(
        model_graphs.shared_scalar,
        Rows.INDEPENDENT,
        model_graphs.shared_scalar_feeds,
        shared=frozenset({"scale"}),
    ),
    ModelCase(
        model_graphs.shared_matrix,
        Rows.INDEPENDENT,
        model_graphs.shared_matrix_feeds,
        shared=frozenset({"matrix"}),
    ),
    ModelCase(
        model_graphs.shared_mask,
        Rows.INDEPENDENT,
        model_graphs.shared_mask_feeds,
        shared=frozenset({"keep"}),
    ),
    ModelCase(
        model_graphs.free_named,
        Rows.INDEPENDENT,
        normal(x=(4, 6)),
        dimensions={"height": 4, "width": 6},
    ),
    ModelCase(
        model_graphs.free_named_alike,
        Rows.INDEPENDENT,
        normal(x=(3, 8, 12)),
        dimensions={("x", 2): 8, ("x", 3): 12},
    ),
    ModelCase(
        model_graphs.free_unnamed,
        Rows.INDEPENDENT,
        normal(x=(4, 6)),
        dimensions={("x", 1): 4, ("x", 2): 6},
    ),
    ModelCase(shape_graphs.free_sequence, Rows.INDEPENDENT, shape_graphs.free_sequence_feeds),
    ModelCase(
        shape_graphs.axis_one,
        Rows.INDEPENDENT,
        shape_graphs.axis_one_feeds,
        batch_axes={"state": 1, "next_state": 1},
    ),
    ModelCase(shape_graphs.free_image, Rows.INDEPENDENT, shape_graphs.free_image_feeds),
    ModelCase(shape_graphs.shrinking_width, Rows.INDEPENDENT, shape_graphs.shrinking_width_feeds),
    ModelCase(odd_graphs.softmax_axis0, Rows.MIXED, normal(x=(8,))),
    ModelCase(odd_graphs.mean_axis0, Rows.MIXED, normal(x=(8,))),
    ModelCase(odd_graphs.cumsum_axis0, Rows.MIXED, normal(x=(8,))),
    ModelCase(odd_graphs.attention_over_rows, Rows.MIXED, normal(x=(8,))),
    ModelCase(odd_graphs.dynamic_quantised, Rows.MIXED, normal(x=(64,))),
    ModelCase(odd_graphs.padded_to_longest, Rows.MIXED, odd_graphs.length_feeds),
    ModelCase(odd_graphs.doubled_rows, Rows.MIXED, normal(x=(8,))),
    ModelCase(odd_graphs.sum_of_rows, Rows.MIXED, normal(x=(8,)), batch_axes={"y": None}),
    ModelCase(odd_graphs.nonzero_output, Rows.MIXED, normal(x=(8,)), batch_axes={"y": 1}),
    ModelCase(shape_graphs.free_lengths, Rows.GATHERED, shape_graphs.lengths_feeds),
    ModelCase(shape_graphs.free_points, Rows.GATHERED, normal(points=(5, 3))),
    ModelCase(
        shape_graphs.shared_output,
        Rows.GATHERED,
        normal(x=(4,)),
        batch_axes={"classes": None},
    ),
    ModelCase(shape_graphs.two_rows_per_row, Rows.GATHERED, normal(x=(4,))),
    *(
        ModelCase(
            ragged_graphs.ragged(f"{stem}_{dtype}", dtype, [None] * rank),
            Rows.RAGGED,
            ragged_graphs.ragged_feeds(dtype, rank),
        )
        for stem, rank in (("ragged_identity", 1), ("ragged_items", 2))
        for dtype in ragged_graphs.DTYPES
    ),
    ModelCase(ragged_graphs.ragged_declared, Rows.RAGGED, ragged_graphs.ragged_feeds("float32", 1)),
    ModelCase(odd_graphs.fixed_batch, Rows.FIXED, normal(x=(16,)), row_counts=(4,)),
    ModelCase(odd_graphs.static_leading_one, Rows.REFUSED, normal(x=(16,)), row_counts=(1,)),
    ModelCase(odd_graphs.string_input, Rows.REFUSED, odd_graphs.string_feeds),
    ModelCase(odd_graphs.sequence_output, Rows.REFUSED, normal(x=(8,))),
    ModelCase(odd_graphs.no_batched_input, Rows.REFUSED, odd_graphs.scalar_feeds, row_counts=(1,)),
)


def case_named(name: str) -> ModelCase:
    """The case of that name; a KeyError lists the names there are."""
    cases = {case.name: case for case in CASES}
    if name not in cases:
        raise KeyError(f"no model named {name!r}; expected one of: {', '.join(cases)}")
    return cases[name]


def write_all(folder: Path) -> dict[str, Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return {case.name: case.write(folder) for case in CASES}
