"""Each case runs through InferenceSession and through dynbatch, and both do the same."""

from __future__ import annotations

import os
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import dynbatch
from model_cases import CASES, Rows, case_named
from reference import session

EXECUTIONS = ("native", "python")
Feeds = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """Arguments of `run` on a model; `raises` where both refuse them."""

    name: str
    model: str
    feeds: Callable[[Feeds], Any]
    output_names: Any = None
    raises: type[Exception] | None = None


def transposed(feeds: Feeds) -> Feeds:
    return {"x": np.ascontiguousarray(feeds["x"].T).T}


def misaligned(feeds: Feeds) -> Feeds:
    x = feeds["x"]
    raw = np.frombuffer(b"\0" + x.tobytes(), dtype=np.uint8)[1:]
    return {"x": raw.view(x.dtype).reshape(x.shape)}


def read_only(feeds: Feeds) -> Feeds:
    x = feeds["x"].copy()
    x.flags.writeable = False
    return {"x": x}


def lists_of(name: str, value: object) -> Callable[[Feeds], Feeds]:
    """Nested lists of a value for one input."""
    return lambda feeds: feeds | {name: np.full(feeds[name].shape, value, dtype=object).tolist()}


def listed(name: str, value: object, raises: type[Exception] | None = None) -> Case:
    return Case(f"lists of {value} for {name}", "many_types", lists_of(name, value), raises=raises)


TABLE = (
    Case("all outputs by None", "one_gemm", lambda f: f),
    Case("all outputs by []", "one_gemm", lambda f: f, output_names=[]),
    Case("one output by name", "many_types", lambda f: f, output_names=["i64_same"]),
    Case("outputs in another order", "many_types", lambda f: f, ["flag_not", "total_f32"]),
    Case("a repeated output", "one_gemm", lambda f: f, ["y", "y"]),
    Case("output names as a tuple", "one_gemm", lambda f: f, ("y",)),
    Case("nested lists", "one_gemm", lambda f: {"x": f["x"].tolist()}),
    Case("lists of ints for floats", "scalar_rows", lambda f: {"x": [1, 2, 3]}),
    *(listed(name, value) for name in ("i8", "u8", "i32", "i64") for value in (1, 3.0, True)),
    *(listed("flag", value) for value in (0, 2, 0.5)),
    *(listed(name, 1) for name in ("f16", "f32", "f64")),
    listed("i64", 2**63 - 1),
    *(listed("i8", value, ValueError) for value in (300, -129, 2**40, 2**63, float("nan"))),
    *(listed("u8", value, ValueError) for value in (256, -1, 2**63)),
    *(listed("i32", value, ValueError) for value in (2**31, 2**40, 2**63, 1e300)),
    *(listed("i64", value, ValueError) for value in (2**63, 2.0**63, 2**64 - 1, 2**64)),
    Case(
        "lists of what would be a valid index",
        "guarded_gather",
        lambda f: {"ids": [[2**64 - 1] * f["ids"].shape[1]]},
        raises=ValueError,
    ),
    Case("lists of ints", "guarded_gather", lambda f: {"ids": f["ids"].tolist()}),
    Case("Fortran order", "one_gemm", transposed),
    Case("strides", "one_gemm", lambda f: {"x": np.repeat(f["x"], 2, axis=1)[:, ::2]}),
    Case("reversed rows", "one_gemm", lambda f: {"x": f["x"][::-1]}),
    Case("misaligned", "one_gemm", misaligned),
    Case("read-only", "one_gemm", read_only),
    Case("a subclass of ndarray", "one_gemm", lambda f: {"x": np.ma.masked_invalid(f["x"])}),
    Case("zero rows", "one_gemm", lambda f: {"x": f["x"][:0]}),
    Case("zero rows of unknown shape", "unknown_inner_output", lambda f: {"x": f["x"][:0]}),
    Case("zero rows of several types", "many_types", lambda f: {k: v[:0] for k, v in f.items()}),
    Case("mappingproxy", "one_gemm", types.MappingProxyType),
    Case("0-d scalar", "shared_scalar", lambda f: f),
    Case("one element for a scalar", "shared_scalar", lambda f: f | {"scale": f["scale"][None]}),
    Case("an input that has a default", "default_input", lambda f: f),
    Case("unknown inner dimension", "unknown_inner_output", lambda f: f),
    Case("inner dimension from shared data", "shared_mask", lambda f: f),
    Case("fixed batch", "fixed_batch", lambda f: f),
    Case("large rows", "two_inputs", lambda f: f),
    Case("missing input", "two_inputs", lambda f: {"box": f["box"]}, raises=ValueError),
    Case("unknown input", "one_gemm", lambda f: f | {"z": f["x"]}, raises=ValueError),
    Case("unknown output", "one_gemm", lambda f: f, ["z"], raises=ValueError),
    Case("wrong dtype", "one_gemm", lambda f: {"x": f["x"].astype("f8")}, raises=ValueError),
    Case("wrong row shape", "one_gemm", lambda f: {"x": f["x"][:, :3]}, raises=ValueError),
    Case("wrong rank", "one_gemm", lambda f: {"x": f["x"][0]}, raises=ValueError),
    Case("strings", "one_gemm", lambda f: {"x": np.array([["a"] * 64])}, raises=ValueError),
    Case("None for an array", "one_gemm", lambda f: {"x": None}, raises=ValueError),
)


@pytest.fixture(scope="module")
def loaded(models: dict[str, Path]) -> Iterator[Callable[[str, str], dynbatch.Model]]:
    """Loads a small model once for each execution."""
    cache: dict[tuple[str, str], dynbatch.Model] = {}

    def load(name: str, execution: str) -> dynbatch.Model:
        key = (name, execution)
        if key not in cache:
            # The session is made here, so that it is quiet about what is expected to fail.
            source = session(models[name]) if execution == "python" else models[name]
            cache[key] = dynbatch.load(source, max_batch_size=4)
        return cache[key]

    yield load
    for model in cache.values():
        model.close()


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
def test_runs_like_inference_session(
    case: Case,
    execution: str,
    models: dict[str, Path],
    loaded: Callable[[str, str], dynbatch.Model],
) -> None:
    model_case = case_named(case.model)
    feeds = case.feeds(model_case.feeds(model_case.row_counts[-1]))
    reference = session(models[case.model])
    model = loaded(case.model, execution)
    if case.raises is not None:
        with pytest.raises(Exception):  # noqa: B017, PT011  (each case raises another class)
            reference.run(case.output_names, feeds)
        with pytest.raises(case.raises):
            model.run(case.output_names, feeds)
        return
    expected = reference.run(case.output_names, dict(feeds))  # older versions take nothing else
    got = model.run(case.output_names, feeds)
    assert isinstance(got, list)
    assert len(got) == len(expected)
    for array, other in zip(got, expected, strict=True):
        assert array.dtype == other.dtype
        assert array.flags.writeable
        np.testing.assert_array_equal(array, other, strict=True)


LOADABLE = [case for case in CASES if case.rows in (Rows.INDEPENDENT, Rows.FIXED)]


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("case", LOADABLE, ids=lambda case: case.name)
def test_describes_itself_like_inference_session(
    case: Any, execution: str, models: dict[str, Path]
) -> None:
    reference = session(models[case.name])
    options: dict[str, Any] = {"batching": "off", "gears": [1]}
    if case.rows is Rows.FIXED:
        options = {}
    with dynbatch.load(
        models[case.name], execution=execution, dimensions=case.dimensions, **options
    ) as model:
        for got, expected in (
            (model.get_inputs(), reference.get_inputs()),
            (model.get_outputs(), reference.get_outputs()),
        ):
            assert [(node.name, node.type, node.shape) for node in got] == [
                (node.name, node.type, node.shape) for node in expected
            ]
        meta, expected_meta = model.get_modelmeta(), reference.get_modelmeta()
        for attribute in (
            "producer_name",
            "graph_name",
            "domain",
            "description",
            "graph_description",
            "version",
            "custom_metadata_map",
        ):
            assert getattr(meta, attribute) == getattr(expected_meta, attribute), attribute
        assert model.get_providers() == reference.get_providers()


def source_path(path: Path) -> Any:
    return str(path)


def source_bytes(path: Path) -> Any:
    return path.read_bytes()


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("source", [source_path, Path, os.fspath, source_bytes])
def test_loads_what_inference_session_loads(
    source: Callable[[Path], Any], execution: str, models: dict[str, Path]
) -> None:
    feeds = case_named("one_gemm").feeds(2)
    expected = session(models["one_gemm"]).run(None, feeds)
    with dynbatch.load(source(models["one_gemm"]), execution=execution, max_batch_size=2) as model:
        np.testing.assert_array_equal(model.run(None, feeds)[0], expected[0])


def test_stands_in_front_of_a_live_session(models: dict[str, Path]) -> None:
    live = session(models["one_gemm"])
    feeds = case_named("one_gemm").feeds(3)
    with dynbatch.load(live) as model:
        np.testing.assert_array_equal(model.run(None, feeds)[0], live.run(None, feeds)[0])
        assert model.get_inputs()[0].name == "x"
        assert model.stats().execution == "python"


def test_refuses_run_options_and_names_the_way_out(
    loaded: Callable[[str, str], dynbatch.Model],
) -> None:
    feeds = case_named("one_gemm").feeds(1)
    options: Any = onnxruntime.RunOptions()
    with pytest.raises(dynbatch.InvalidArgument, match=r"run_options.*infer\(timeout=\)"):
        loaded("one_gemm", "native").run(None, feeds, options)


def test_refuses_ort_values_and_names_the_way_out(
    loaded: Callable[[str, str], dynbatch.Model],
) -> None:
    x = case_named("one_gemm").feeds(1)["x"]
    value: Any = onnxruntime.OrtValue.ortvalue_from_numpy(x)
    with pytest.raises(dynbatch.InvalidInput, match=r"'x'.*OrtValue: feed its \.numpy\(\)"):
        loaded("one_gemm", "native").run(None, {"x": value})


@pytest.mark.parametrize("values", [[3.5], ["3"], [None], [1, 2.5]])
def test_lists_lose_nothing_in_an_integer_type(values: list[Any]) -> None:
    # ONNX Runtime cuts these off, or reads them as it can.
    with (
        dynbatch.Batcher(lambda x: x, example=np.zeros(1, np.int64)) as batcher,
        pytest.raises(dynbatch.InvalidInput, match="'x': expected an array of int64, got"),
    ):
        batcher.infer(values)


def test_lists_of_large_integers_are_exact() -> None:
    values = [1, 2**63 + 1, 2**64 - 1]
    with dynbatch.Batcher(lambda x: x, example=np.zeros(1, np.uint64)) as batcher:
        assert batcher.infer(values)["output"].tolist() == values


def test_takes_the_bare_array_of_a_single_input(
    loaded: Callable[[str, str], dynbatch.Model],
) -> None:
    feeds = case_named("one_gemm").feeds(2)
    model = loaded("one_gemm", "native")
    np.testing.assert_array_equal(model.run(None, feeds["x"])[0], model.run(None, feeds)[0])


def test_foreign_byte_order_is_read_right(
    loaded: Callable[[str, str], dynbatch.Model],
) -> None:
    # ONNX Runtime reads such bytes as they stand, so that this is no case of the table.
    feeds = case_named("one_gemm").feeds(2)
    model = loaded("one_gemm", "native")
    swapped = {"x": feeds["x"].astype(feeds["x"].dtype.newbyteorder())}
    np.testing.assert_array_equal(model.run(None, swapped)[0], model.run(None, feeds)[0])
