"""Every test model is what its case says, as ONNX Runtime alone sees it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from model_cases import CASES, ModelCase, Rows, case_named, write_all
from real_models import Feeds, RealModel, dynamic_minilm, real_models

REAL_MODELS = real_models()


def session(path: Path) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options)


def part_of(array: np.ndarray[Any, Any], row: int, n: int, axis: int | None) -> Any:
    """What row `row` of n has of an array, which may be several rows of it."""
    if axis is None:
        return array
    each = array.shape[axis] // n
    return np.take(array, range(row * each, (row + 1) * each), axis)


def difference_in_company(
    run: Any,
    feeds: Feeds,
    n: int,
    shared: frozenset[str] = frozenset(),
    axes: Mapping[str, int | None] | None = None,
) -> float:
    """The largest |alone - in company| over max|y|; infinite where the shapes differ."""
    axes = dict.fromkeys(shared) | dict(axes or {})
    outputs = [output.name for output in run.get_outputs()]
    together = run.run(outputs, feeds)
    worst = 0.0
    for row in range(n):
        own = {k: part_of(v, row, n, axes.get(k, 0)) for k, v in feeds.items()}
        for name, a, whole in zip(outputs, run.run(outputs, own), together, strict=True):
            b = part_of(whole, row, n, axes.get(name, 0))
            if a.shape != b.shape:
                return float("inf")
            scale = max(float(np.abs(whole.astype(np.float64)).max()), 1e-12)
            gap = np.abs(a.astype(np.float64) - b.astype(np.float64))
            worst = max(worst, float(gap.max()) / scale)
    return worst


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    write_all(path)
    return path


def test_builds_are_reproducible(folder: Path, tmp_path: Path) -> None:
    for name, again in write_all(tmp_path).items():
        assert again.read_bytes() == (folder / f"{name}.onnx").read_bytes(), name


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_runs_the_row_counts_it_names(case: ModelCase, folder: Path) -> None:
    run = session(folder / f"{case.name}.onnx")
    for n in case.row_counts:
        assert run.run(None, case.feeds(n))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_rows_are_what_the_case_says(case: ModelCase, folder: Path) -> None:
    run = session(folder / f"{case.name}.onnx")
    if case.rows in (Rows.INDEPENDENT, Rows.GATHERED, Rows.MIXED):
        difference = difference_in_company(run, case.feeds(3), 3, case.shared, case.batch_axes)
        assert (difference > 1e-3) == (case.rows is Rows.MIXED)
    elif case.rows is Rows.FIXED:
        assert run.get_inputs()[0].shape[0] == case.row_counts[0]


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.rows is Rows.RAGGED], ids=lambda case: case.name
)
def test_ragged_models_hand_out_what_they_got(case: ModelCase, folder: Path) -> None:
    feeds = case.feeds(3)
    output, seen = session(folder / f"{case.name}.onnx").run(["OUTPUT", "SEEN"], feeds)
    np.testing.assert_array_equal(output, feeds["INPUT"])
    np.testing.assert_array_equal(seen, feeds["INDEX"])
    assert seen.dtype == feeds["INDEX"].dtype


def test_an_id_out_of_range_fails_the_whole_run(folder: Path) -> None:
    run = session(folder / "guarded_gather.onnx")
    feeds = case_named("guarded_gather").feeds(3)
    feeds["ids"][1, 2] = 100
    with pytest.raises(Exception, match="out of data bounds"):
        run.run(None, feeds)


@pytest.mark.parametrize("model", REAL_MODELS.values(), ids=lambda model: model.name)
def test_real_model_is_what_the_list_says(model: RealModel) -> None:
    run = session(model.path)
    assert [i.name for i in run.get_inputs()] == list(model.inputs)
    assert tuple(o.name for o in run.get_outputs()) == model.outputs
    symbols = {d for i in run.get_inputs() for d in i.shape if isinstance(d, str)}
    assert {k for k in model.dimensions if isinstance(k, str)} <= symbols
    for n in (1, 2, 3):
        for name, array in model.feeds(n).items():
            axis = model.batch_axes.get(name, 0)
            shape = list(model.inputs[name].row_shape)
            shape.insert(axis, n)
            assert list(array.shape) == shape
            assert array.dtype == model.inputs[name].dtype
        assert run.run(None, model.feeds(n))[0].shape[0] == n


@pytest.mark.parametrize("name", [m.name for m in REAL_MODELS.values() if not m.batch_axes])
def test_rows_of_real_models_are_independent(name: str) -> None:
    model = REAL_MODELS[name]
    assert difference_in_company(session(model.path), model.feeds(3), 3) <= 1e-3


def test_dynamic_quantisation_mixes_the_rows_of_minilm(tmp_path: Path) -> None:
    model = dynamic_minilm(tmp_path)
    assert difference_in_company(session(model.path), model.feeds(3), 3) > 1e-3
