"""Triton model configurations: what is taken, what wins over it, and what is refused."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

import dynbatch
from dynbatch._executors import OnnxOptions
from dynbatch._options import Batching
from dynbatch._triton import TritonConfig, read_config

# The two of Triton's page on ragged batching: an input that may be ragged, and with it the index.
RAGGED = """
max_batch_size: 16
input { name: "INPUT" data_type: TYPE_FP32 dims: -1 allow_ragged_batch: true }
"""
INDEX = """
batch_input {
  kind: BATCH_ACCUMULATED_ELEMENT_COUNT
  target_name: "INDEX"
  data_type: TYPE_FP32
  source_input: "INPUT"
}
"""
SCATTER = """
output { name: "OUTPUT" data_type: TYPE_FP32 dims: [ -1 ] }
batch_output {
  kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "OUTPUT" source_input: "INPUT"
}
"""
# Names, service and tuning: nothing that a caller could tell from the answers.
IGNORED = """
name: "ragged" platform: "onnxruntime_onnx" backend: "onnxruntime" runtime: ""
version_policy { latest { num_versions: 2 } }
optimization {
  graph { level: 1 } input_pinned_memory { enable: false }
  cuda { graph_spec { batch_size: 2 input { key: "INPUT" value { dim: [ 4 ] } } } }
  execution_accelerators { cpu_execution_accelerator [ { name: "openvino" } ] }
}
dynamic_batching { preferred_batch_size: [ 4, 8 ] default_queue_policy { } }
instance_group [ { count: 2 kind: KIND_CPU rate_limiter { resources { name: "r" count: 1 } } } ]
default_model_filename: "model.onnx"
metric_tags { key: "a" value: "b" }
parameters { key: "intra_op_thread_count" value { string_value: "1" } }
model_warmup [
  { name: "one" batch_size: 1 inputs { key: "INPUT" value { dims: 4 zero_data: true } } }
]
response_cache { enable: true }
model_transaction_policy { decoupled: false }
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "config.pbtxt"
    path.write_text(text, encoding="utf-8")
    return path


def read(folder: Path, text: str) -> TritonConfig:
    return read_config(written(folder, text))


def batching(**options: Any) -> Batching:
    defaults: dict[str, Any] = {
        "max_batch_size": 32,
        "gears": None,
        "fill": "auto",
        "workers": None,
        "max_queue_delay": 0.0,
        "queue_capacity": None,
        "queue_bytes": 64 << 20,
        "batching": "auto",
        "verify": True,
        "row_tolerance": None,
    }
    return Batching(**defaults | options)


def onnx(**options: Any) -> OnnxOptions:
    defaults: dict[str, Any] = dict.fromkeys(
        (
            *("dimensions", "inputs", "outputs", "intra_op_threads", "execution", "providers"),
            "session_config",
        )
    )
    return OnnxOptions(**defaults | options)


def test_an_input_may_be_ragged(tmp_path: Path) -> None:
    config = read(tmp_path, RAGGED)
    assert config.max_batch_size == 16
    assert config.ragged == ("INPUT",)
    assert config.inputs == (("INPUT", "TYPE_FP32", (-1,)),)
    assert (config.batch_inputs, config.batch_outputs) == ((), ())
    assert config.max_queue_delay == 0.0


def test_batch_inputs_and_outputs_are_those_of_python(tmp_path: Path) -> None:
    config = read(tmp_path, RAGGED + INDEX + SCATTER)
    assert config.batch_inputs == (
        dynbatch.BatchInput(
            kind="BATCH_ACCUMULATED_ELEMENT_COUNT",
            target_name=["INDEX"],
            data_type="TYPE_FP32",
            source_input="INPUT",
        ),
    )
    assert config.batch_outputs == (
        dynbatch.BatchOutput(
            kind="BATCH_SCATTER_WITH_INPUT_SHAPE", target_name=["OUTPUT"], source_input="INPUT"
        ),
    )


def test_what_names_serves_or_tunes_is_ignored(tmp_path: Path) -> None:
    plain = read(tmp_path, RAGGED + INDEX + SCATTER)
    assert read(tmp_path, RAGGED + INDEX + SCATTER + IGNORED) == plain


def test_the_configuration_fills_what_is_left_at_its_default(tmp_path: Path) -> None:
    text = RAGGED + INDEX + SCATTER + "dynamic_batching { max_queue_delay_microseconds: 1500 }"
    config = read(tmp_path, text)
    filled = config.fill_batching(batching())
    assert filled.max_batch_size == 16
    assert filled.max_queue_delay == 0.0015
    options = config.fill_onnx(onnx())
    native = options.native()
    assert native.inputs["INPUT"].ragged
    assert native.batch_inputs[0].target_names == ["INDEX"]
    assert native.batch_outputs[0].target_names == ["OUTPUT"]
    assert native.input_dimensions == {}


def test_options_of_load_win(tmp_path: Path) -> None:
    text = RAGGED + INDEX + SCATTER + "dynamic_batching { max_queue_delay_microseconds: 1500 }"
    config = read(tmp_path, text)
    filled = config.fill_batching(batching(max_batch_size=4, max_queue_delay=0.5))
    assert (filled.max_batch_size, filled.max_queue_delay) == (4, 0.5)
    assert config.fill_batching(batching(gears=[1, 2])).max_batch_size == 32  # no wish: the gears'
    options = config.fill_onnx(
        onnx(ragged=[], batch_inputs=[], batch_outputs=[], dimensions={"n": 3})
    )
    native = options.native()
    assert (native.inputs, native.batch_inputs, native.batch_outputs) == ({}, [], [])
    assert (native.dimensions, native.input_dimensions) == ({"n": 3}, {})


def test_dims_that_are_fixed_bind_free_dimensions(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        'max_batch_size: 8 input { name: "x" data_type: TYPE_FP32 dims: [ 3, -1, 416 ] }',
    )
    assert config.fill_onnx(onnx()).native().input_dimensions == {("x", 1): 3, ("x", 3): 416}


WRONG: list[tuple[str, str]] = [
    ("max_batch_sise: 4", 'has no field named "max_batch_sise"'),
    ("input { allow_raged_batch: true }", 'has no field named "allow_raged_batch"'),
    ("max_batch_size: many", "1:17"),
    ("input {", "Expected"),
    ('input { name: "x" }', "max_batch_size: expected at least 1, which tells Triton that the"),
    ("max_batch_size: 0", "max_batch_size: expected at least 1"),
    ("max_batch_size: 4 sequence_batching { }", "sequence_batching cannot be kept: sequences"),
    ("max_batch_size: 4 ensemble_scheduling { step { } }", "ensemble_scheduling cannot be kept"),
    (
        "max_batch_size: 4 model_transaction_policy { decoupled: true }",
        "model_transaction_policy.decoupled cannot be kept: each request has one answer",
    ),
    (
        "max_batch_size: 4 dynamic_batching { preserve_ordering: true }",
        "dynamic_batching.preserve_ordering cannot be kept",
    ),
    (
        "max_batch_size: 4 dynamic_batching { priority_levels: 2 default_priority_level: 1 }",
        "dynamic_batching.priority_levels cannot be kept: requests have no priorities",
    ),
    (
        "max_batch_size: 4 dynamic_batching { default_queue_policy { max_queue_size: 5 } }",
        "dynamic_batching.default_queue_policy cannot be kept: set queue_capacity and on_full",
    ),
    (
        "max_batch_size: 4 dynamic_batching { priority_queue_policy { key: 1 value { } } }",
        "dynamic_batching.priority_queue_policy cannot be kept",
    ),
    (
        'max_batch_size: 4 input { name: "x" reshape { shape: [ ] } }',
        "input 'x': reshape cannot be kept: give arrays in the model's own shape",
    ),
    (
        'max_batch_size: 4 output { name: "y" reshape { shape: [ 1 ] } }',
        "output 'y': reshape cannot be kept",
    ),
    (
        'max_batch_size: 4 input { name: "x" format: FORMAT_NHWC }',
        "input 'x': format cannot be kept",
    ),
    ('max_batch_size: 4 input { name: "x" optional: true }', "input 'x': optional cannot be kept"),
    (
        'max_batch_size: 4 input { name: "x" is_shape_tensor: true }',
        "input 'x': is_shape_tensor cannot be kept",
    ),
    (
        RAGGED + INDEX.replace("TYPE_FP32", "TYPE_FP16"),
        "data_type: expected one of 'INT32', 'INT64', 'FP32', got 'FP16'",
    ),
    (
        RAGGED + INDEX.replace('source_input: "INPUT"', ""),
        "batch_input: expected one source_input, got []",
    ),
    (
        RAGGED + INDEX.replace('target_name: "INDEX"', ""),
        "target_name: expected a name or a list of names, got []",
    ),
    (
        RAGGED + INDEX.replace("BATCH_ACCUMULATED", "BATCH_COUNTED"),
        "no value named BATCH_COUNTED_ELEMENT_COUNT",
    ),
    (
        RAGGED + SCATTER.replace("[ -1 ]", "[ -1, 4 ]"),
        "output 'OUTPUT': expected the dims of its source_input 'INPUT', [-1], got [-1, 4]",
    ),
    (
        RAGGED + SCATTER + SCATTER.replace('source_input: "INPUT"', 'source_input: ["A", "B"]'),
        "batch_output: expected one source_input, got ['A', 'B']",
    ),
]


@pytest.mark.parametrize(("text", "message"), WRONG, ids=[message for _, message in WRONG])
def test_what_cannot_be_kept_is_named_with_its_file(
    text: str, message: str, tmp_path: Path
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(dynbatch.InvalidArgument, match=re.escape(message)) as caught:
        read_config(path)
    assert str(caught.value).startswith(f"config {str(path)!r}: ")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(dynbatch.InvalidArgument, match="it cannot be read: No such file") as caught:
        read_config(tmp_path / "config.pbtxt")
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_something_else_is_no_path(models: dict[str, Path]) -> None:
    config: Any = 5
    with pytest.raises(dynbatch.InvalidArgument, match="config: expected the path of a Triton"):
        dynbatch.load(models["one_gemm"], config=config)


def test_without_the_extra_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dynbatch import _triton_schema

    _triton_schema._message_class.cache_clear()
    for name in [name for name in sys.modules if name.split(".")[:2] == ["google", "protobuf"]]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(dynbatch.ModelError, match=r"pip install dynbatch\[triton\]"):
        read_config(written(tmp_path, RAGGED))


ONE_GEMM = 'max_batch_size: 4 input { name: "x" data_type: TYPE_FP32 dims: 64 }'


@pytest.mark.parametrize("execution", ["native", "python"])
def test_a_model_is_loaded_as_its_configuration_says(
    execution: str, models: dict[str, Path], tmp_path: Path
) -> None:
    text = ONE_GEMM + "dynamic_batching { max_queue_delay_microseconds: 100 }"
    with dynbatch.load(
        models["one_gemm"],
        config=str(written(tmp_path, text)),
        execution=execution,
        batching="always",
    ) as model:
        assert model.gears.cap == 4
        assert model.max_queue_delay == pytest.approx(100e-6, abs=1e-9)


WRONG_FOR_MODEL: list[tuple[str, str]] = [
    (ONE_GEMM.replace('"x"', '"z"').replace("dims: 64", ""), "there is no input 'z': expected 'x'"),
    (
        ONE_GEMM.replace("FP32", "FP16"),
        "input 'x': expected tensor(float), as in the model, got TYPE_FP16",
    ),
    (ONE_GEMM + 'output { name: "z" }', "there is no output 'z': expected 'y'"),
    (
        ONE_GEMM + 'output { name: "y" data_type: TYPE_STRING }',
        "output 'y': expected tensor(float)",
    ),
    (ONE_GEMM.replace("64", "32"), "dimensions gives axis 1 of input 'x' [batch, 64] the value 32"),
]


@pytest.mark.parametrize(
    ("text", "message"), WRONG_FOR_MODEL, ids=[message for _, message in WRONG_FOR_MODEL]
)
def test_a_configuration_of_another_model_is_refused(
    text: str, message: str, models: dict[str, Path], tmp_path: Path
) -> None:
    with pytest.raises(dynbatch.InvalidArgument, match=re.escape(message)):
        dynbatch.load(models["one_gemm"], config=written(tmp_path, text))
