"""Whatever is wrong is said before anything runs: the argument, what was expected, what came."""

from __future__ import annotations

import errno
import os
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dynbatch
from model_cases import CASES, Rows, case_named

EXECUTIONS = ("native", "python")
REFUSED = [case.name for case in CASES if case.rows is Rows.REFUSED]

WAYS_OUT = {
    "static_leading_one": "re-export the model with a dynamic batch axis",
    "string_input": "re-export the model without that part, and run it before",
    "sequence_output": "name the outputs that you want, without it",
    "no_batched_input": "Re-export the model with a dynamic leading dimension",
}


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("name", REFUSED)
def test_models_that_cannot_be_batched_are_refused(
    name: str, execution: str, models: dict[str, Path]
) -> None:
    with pytest.raises(dynbatch.ModelError, match=WAYS_OUT[name]):
        dynbatch.load(models[name], execution=execution)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_an_output_whose_size_depends_on_values_fails_its_request(
    execution: str, models: dict[str, Path]
) -> None:
    # What is not zero is listed: 24 places at load, one less here.
    x = np.ones((3, 8), np.float32)
    with pytest.warns(dynbatch.RowsMixWarning):
        model = dynbatch.load(models["nonzero_output"], execution=execution)
    with model:
        assert model.infer(x)["y"].shape == (2, 24)
        x[1, 2] = 0
        with pytest.raises(dynbatch.ExecutionError, match=r"'y' has shape \[2, 23\], expected 24"):
            model.infer(x)


def test_a_missing_file_is_also_file_not_found() -> None:
    with pytest.raises(dynbatch.ModelError, match=r"no such model file: 'nowhere\.onnx'") as caught:
        dynbatch.load("nowhere.onnx")
    assert isinstance(caught.value, FileNotFoundError)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, "nowhere.onnx")
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value)
    assert str(again) == str(caught.value)


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(dynbatch.ModelError, match="is not a file") as caught:
        dynbatch.load(tmp_path)
    assert not isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_broken_model_is_a_model_error(execution: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"this is no protocol buffer")
    with pytest.raises(dynbatch.ModelError):
        dynbatch.load(path, execution=execution)
    with pytest.raises(dynbatch.ModelError):
        dynbatch.load(path.read_bytes(), execution=execution)


# Options, each with what its message must say.
WRONG_OPTIONS: list[tuple[dict[str, Any], str]] = [
    ({"max_batch_size": 0}, "max_batch_size: expected an int of at least 1, got 0"),
    ({"max_batch_size": 2.5}, "max_batch_size: expected an int of at least 1, got 2.5"),
    ({"max_batch_size": True}, "max_batch_size: expected an int of at least 1, got True"),
    ({"max_batch_size": 1 << 20}, "max_batch_size"),
    ({"max_batch_size": 8, "gears": [1, 4]}, "max_batch_size"),
    ({"gears": []}, "gears: expected at least one batch size"),
    ({"gears": [1, -2]}, "gears: expected an int of at least 1, got -2"),
    ({"gears": [2, 2]}, "gears"),
    ({"gears": 5}, "gears: expected a list of batch sizes, got 5"),
    ({"gears": "12"}, "gears: expected a list of batch sizes, got '12'"),
    ({"fill": "sometimes"}, "fill: expected one of 'auto', True, False, got 'sometimes'"),
    ({"batching": "on"}, "batching: expected one of 'auto', 'always', 'off', got 'on'"),
    ({"hint": "fast"}, "hint: expected one of None, 'latency', 'throughput', got 'fast'"),
    ({"workers": 0}, "workers: expected an int of at least 1, got 0"),
    ({"intra_op_threads": -1}, "intra_op_threads: expected an int of at least 1, got -1"),
    ({"max_queue_delay": 5000}, "max_queue_delay: expected 0 to 10 seconds, got 5000; it is in"),
    ({"max_queue_delay": -0.1}, "max_queue_delay: expected 0 to 10 seconds, got -0.1"),
    ({"max_queue_delay": float("nan")}, "max_queue_delay: expected 0 to 10 seconds, got nan"),
    ({"max_queue_delay": "1"}, "max_queue_delay: expected seconds, got '1'"),
    ({"queue_capacity": 0}, "queue_capacity: expected an int of at least 1, got 0"),
    ({"queue_bytes": 0}, "queue_bytes: expected an int of at least 1, got 0"),
    ({"on_full": "drop"}, "on_full: expected one of 'wait', 'raise', got 'drop'"),
    ({"execution": "gpu"}, "execution: expected one of None, 'native', 'python', got 'gpu'"),
    ({"row_tolerance": -1}, "row_tolerance: expected a number of at least 0, got -1"),
    ({"session_config": {"a": 1}}, "session_config: expected strings, got 'a': 1"),
    ({"session_config": [("a", "b")]}, "session_config: expected a mapping to strings, got [("),
    ({"providers": "CPUExecutionProvider"}, "providers: expected a list of names"),
    ({"providers": 5}, "providers: expected a list of names, got 5"),
    ({"providers": [5]}, "providers: expected names, or pairs of a name and its options, got 5"),
    ({"providers": [()]}, "providers: expected names, or pairs of a name and its options, got ()"),
    ({"dimensions": [("x", 3)]}, "dimensions: expected a mapping to ints, got [("),
    ({"dimensions": {"x": 1.5}}, "dimensions['x']: expected an int, got 1.5"),
    ({"dimensions": {"x": 10**30}}, "dimensions['x']: expected less than 2**63, got 1000"),
    ({"dimensions": {("x", 10**30): 1}}, "dimensions: expected a name or (input, axis) as key"),
    ({"dimensions": {("x", 0): 4}, "gears": [2]}, "the batch is fixed to 4 (by the model, or by"),
    ({"max_batch_size": 10**30}, "max_batch_size: expected less than 2**63, got 1000"),
    ({"gears": [10**30]}, "gears: expected less than 2**63, got 1000"),
    ({"queue_capacity": 10**30}, "queue_capacity: expected less than 2**63, got 1000"),
    ({"queue_bytes": 10**30}, "queue_bytes: expected less than 2**63, got 1000"),
    ({"dimensions": {("x",): 1}}, "dimensions: expected a name or (input, axis) as key"),
    ({"dimensions": {"height": 3}}, "dimensions names 'height'"),
    ({"inputs": ["x"]}, "inputs: expected a mapping to dynbatch.Input, got ['x']"),
    ({"inputs": {0: dynbatch.Input()}}, "inputs: expected names as keys, got 0"),
    ({"inputs": {"x": True}}, "inputs['x']: expected dynbatch.Input, got True"),
    ({"inputs": {"x": dynbatch.Input(shape=(2,))}}, "inputs['x']: a model declares its own dtype"),
    ({"outputs": ["z"]}, "outputs names 'z', and the model has 'y'"),
    ({"outputs": "y"}, "outputs: expected a list of output names, got 'y'"),
    ({"outputs": 5}, "outputs: expected a list of output names, got 5"),
    ({"outputs": [5]}, "outputs: expected a list of output names, got [5]"),
    ({"outputs": []}, "outputs: expected at least one output name"),
    (
        {"execution": "native", "providers": ["CUDAExecutionProvider"]},
        'execution="native" runs on CPUExecutionProvider alone',
    ),
    (
        {"execution": "native", "providers": [("CPUExecutionProvider", {"a": "b"})]},
        "got providers with options for CPUExecutionProvider",
    ),
]


@pytest.mark.parametrize(
    ("options", "message"), WRONG_OPTIONS, ids=[str(options) for options, _ in WRONG_OPTIONS]
)
def test_wrong_options_are_named(
    options: dict[str, Any], message: str, models: dict[str, Path]
) -> None:
    with pytest.raises(dynbatch.InvalidArgument, match=re.escape(message)) as caught:
        dynbatch.load(models["one_gemm"], **options)
    assert isinstance(caught.value, ValueError)


def test_a_capacity_that_breaks_the_bytes_names_both(models: dict[str, Path]) -> None:
    with pytest.raises(dynbatch.InvalidArgument, match=r"(?s)queue_capacity.*queue_bytes"):
        dynbatch.load(models["two_inputs"], queue_capacity=512, queue_bytes=256 << 20)


def test_a_provider_that_is_not_there_is_a_model_error(models: dict[str, Path]) -> None:
    with pytest.raises(dynbatch.ModelError, match="CUDAExecutionProvider not in this build"):
        dynbatch.load(models["one_gemm"], providers=["CUDAExecutionProvider"])


def test_what_a_live_session_has_already_is_refused(models: dict[str, Path]) -> None:
    from reference import session

    live = session(models["one_gemm"])
    with pytest.raises(dynbatch.InvalidArgument, match="session_config: a live InferenceSession"):
        dynbatch.load(live, session_config={"a": "b"})
    with pytest.raises(dynbatch.InvalidArgument, match='execution="native" cannot run a live'):
        dynbatch.load(live, execution="native")


def test_options_of_the_provider_select_python_execution(models: dict[str, Path]) -> None:
    for options, execution in (({}, "native"), ({"arena_extend_strategy": "0"}, "python")):
        provider = ("CPUExecutionProvider", options)
        with dynbatch.load(models["one_gemm"], providers=[provider], gears=[1]) as model:
            assert model.stats().execution == execution


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_far_too_many_threads_are_named(execution: str, models: dict[str, Path]) -> None:
    with pytest.raises(
        dynbatch.InvalidArgument, match="intra_op_threads: expected 1 to 4096, got 1000000000"
    ):
        dynbatch.GearModel(
            models["one_gemm"], gears=[1], execution=execution, intra_op_threads=10**9
        )


def test_a_path_need_not_be_utf8(models: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"model\xff.onnx")
    path.write_bytes(models["one_gemm"].read_bytes())
    with dynbatch.load(path, gears=[1]) as model:
        assert model.infer(X)["y"].shape == (2, 64)
    path.write_bytes(b"this is no protocol buffer")
    with pytest.raises(dynbatch.ModelError, match=r"model\\xff.onnx"):
        dynbatch.load(path)


def test_something_else_is_no_model() -> None:
    source: Any = 7
    with pytest.raises(dynbatch.InvalidArgument, match="model: expected a path, bytes or"):
        dynbatch.load(source)


# Feeds of one_gemm, each with what its message must say.
X = case_named("one_gemm").feeds(2)["x"]
WRONG_FEEDS: list[tuple[Any, str]] = [
    ({}, "input 'x' is missing: expected x, got none"),
    ({"y": X}, "input 'x' is missing: expected x, got y"),
    ({"x": X, "y": X}, "there is no input 'y': expected x"),
    ({"x": X.astype(np.float64)}, "input 'x': expected dtype float32, got float64"),
    ({"x": X[:, :3]}, "input 'x': expected shape [n, 64], got [2, 3]"),
    ({"x": X[0]}, "input 'x': expected shape [n, 64], got [64]"),
    ({"x": np.array(X, dtype=object)}, "input 'x': expected an array of float32, got object"),
    ({"x": X.astype(np.complex64)}, "input 'x': expected an array of float32, got complex64"),
    ({"x": [[1.0], [2.0, 3.0]]}, "input 'x': expected an array of float32, got"),
    ({"x": [["a"]]}, "input 'x': expected an array of float32, got"),
    ({"x": None}, "input 'x': expected an array of float32, got object"),
    ("x", "input 'x': expected an array of float32, got"),
    (np.zeros((1,) * 12 + (64,), np.float32), "input 'x': expected shape [n, 64], got"),
]


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_wrong_feeds_are_named_and_harm_nobody(execution: str, models: dict[str, Path]) -> None:
    with dynbatch.load(models["one_gemm"], execution=execution, max_batch_size=4) as model:
        for feeds, message in WRONG_FEEDS:
            for call in (model.infer, model.submit, lambda each: model.run(None, each)):
                with pytest.raises(dynbatch.InvalidInput, match=re.escape(message)) as caught:
                    call(feeds)
                assert isinstance(caught.value, ValueError)
        assert model.infer(X)["y"].shape == (2, 64)
    stats = model.stats()
    assert stats.accepted == stats.succeeded == 1


@pytest.mark.parametrize("timeout", ["1", True, [1], 10**400])
def test_timeouts_are_seconds(timeout: Any, models: dict[str, Path]) -> None:
    with dynbatch.load(models["one_gemm"], gears=[1]) as model:
        future = model.submit(X)
        future.result()
        for call in (future.result, future.exception, lambda each: model.infer(X, timeout=each)):
            with pytest.raises(dynbatch.InvalidArgument, match="timeout: expected seconds, got"):
                call(timeout)


def test_a_closed_model_is_called_no_batcher(models: dict[str, Path]) -> None:
    with dynbatch.load(models["one_gemm"], gears=[1]) as model:
        pass
    for call in (model.infer, model.submit):
        with pytest.raises(dynbatch.Closed, match=r"^closed: no more requests are taken$"):
            call(X)


def test_different_row_counts_are_named(models: dict[str, Path]) -> None:
    feeds = case_named("many_types").feeds(3)
    with (
        dynbatch.load(models["many_types"], max_batch_size=4) as model,
        pytest.raises(dynbatch.InvalidInput, match="expected 3 rows as in input 'f32', got 2"),
    ):
        model.infer(feeds | {"i8": feeds["i8"][:2]})


def test_many_threads_are_a_warning(models: dict[str, Path]) -> None:
    with pytest.warns(RuntimeWarning, match="workers=64 with intra_op_threads=2") as caught:
        dynbatch.load(models["one_gemm"], workers=64, intra_op_threads=2, max_batch_size=2).close()
    assert caught[0].filename == __file__
