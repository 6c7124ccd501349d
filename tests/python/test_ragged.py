"""Ragged rows, and what the runtime makes of them: in the words and with the numbers of Triton."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto as Type
from onnx import helper

import dynbatch
from model_graphs import model, tensor

EXECUTIONS = ("native", "python")
TYPES = {"INT32": Type.INT32, "INT64": Type.INT64, "FP32": Type.FLOAT}
# Four rows in three requests: two of [2, 3] together, then one of [1, 4] and one of [3, 1].
SHAPES = ((2, 2, 3), (1, 1, 4), (1, 3, 1))
MADE: dict[str, Any] = {
    "BATCH_ELEMENT_COUNT": [12, 4, 3],
    "BATCH_ACCUMULATED_ELEMENT_COUNT": [12, 16, 19],
    "BATCH_ACCUMULATED_ELEMENT_COUNT_WITH_ZERO": [0, 12, 16, 19],
    "BATCH_ITEM_SHAPE": [[2, 3], [2, 3], [1, 4], [3, 1]],
    "BATCH_ITEM_SHAPE_FLATTEN": [2, 3, 2, 3, 1, 4, 3, 1],
}


def flat_model(target: int, rank: int = 1, targets: int = 1) -> onnx.ModelProto:
    """OUTPUT is INPUT, TOLD_i is INDEX_i, and SIZE the number of INDEX_0's elements."""
    names = [f"INDEX_{i}" for i in range(targets)]
    dims = [f"d{axis}" for axis in range(rank)]
    return model(
        [
            helper.make_node("Identity", ["INPUT"], ["OUTPUT"]),
            helper.make_node("Shape", ["INDEX_0"], ["SIZE"]),
            *(helper.make_node("Identity", [name], [f"TOLD_{name[-1]}"]) for name in names),
        ],
        [
            tensor("INPUT", Type.FLOAT, ["elements"]),
            *(tensor(name, target, dims) for name in names),
        ],
        [
            tensor("OUTPUT", Type.FLOAT, ["elements"]),
            tensor("SIZE", Type.INT64, [rank]),
            *(tensor(f"TOLD_{name[-1]}", target, dims) for name in names),
        ],
    )


def load(path: Path, kind: str, data_type: str, rows: int, **options: Any) -> dynbatch.Model:
    """Batches of exactly so many rows, of whose made input each request is told all."""
    targets = options.pop("targets", 1)
    told = ["SIZE", *(f"TOLD_{i}" for i in range(targets))]
    return dynbatch.load(
        path,
        ragged=["INPUT"],
        batch_inputs=[
            dynbatch.BatchInput(
                kind=kind,
                target_name=[f"INDEX_{i}" for i in range(targets)],
                data_type=data_type,
                source_input="INPUT",
            )
        ],
        batch_outputs=[
            dynbatch.BatchOutput(
                kind="BATCH_SCATTER_WITH_INPUT_SHAPE", target_name="OUTPUT", source_input="INPUT"
            )
        ],
        outputs={name: dynbatch.Output(shared=True) for name in told},
        batching="always",
        verify=False,  # what is told depends on the company, as it has to
        max_batch_size=rows,
        max_queue_delay=10,
        **options,
    )


def inputs_of(shapes: Any) -> list[np.ndarray[Any, Any]]:
    start = 0
    arrays = []
    for shape in shapes:
        size = int(np.prod(shape))
        arrays.append(np.arange(start, start + size, dtype=np.float32).reshape(shape))
        start += size
    return arrays


def answers(served: dynbatch.Model, arrays: Any) -> list[dict[str, Any]]:
    futures = [served.submit({"INPUT": array}) for array in arrays]
    return [future.result() for future in futures]


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("data_type", TYPES)
@pytest.mark.parametrize("kind", MADE)
def test_each_batch_input_is_that_of_triton(
    kind: str, data_type: str, execution: str, tmp_path: Path
) -> None:
    path = tmp_path / "flat.onnx"
    built = flat_model(TYPES[data_type], rank=np.ndim(MADE[kind]))
    path.write_bytes(built.SerializeToString())
    arrays = inputs_of(SHAPES)
    with load(path, kind, data_type, rows=4, execution=execution) as served:
        got = answers(served, arrays)
    for answer, array in zip(got, arrays, strict=True):
        np.testing.assert_array_equal(answer["OUTPUT"], array)
        assert answer["TOLD_0"].tolist() == MADE[kind]
        assert answer["TOLD_0"].dtype == {"INT32": "i4", "INT64": "i8", "FP32": "f4"}[data_type]
    stats = served.stats()
    assert (stats.rows, stats.batches, stats.padded_elements) == (4, 1, 0)
    assert stats.elements == 19


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("data_type", TYPES)
def test_the_largest_request_gives_a_shape(data_type: str, execution: str, tmp_path: Path) -> None:
    path = tmp_path / "flat.onnx"
    path.write_bytes(flat_model(TYPES[data_type]).SerializeToString())
    kind = "BATCH_MAX_ELEMENT_COUNT_AS_SHAPE"
    with load(path, kind, data_type, rows=4, execution=execution) as served:
        got = answers(served, inputs_of(SHAPES))
    assert [answer["SIZE"].tolist() for answer in got] == [[12]] * 3


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_several_targets_are_made_alike(execution: str, tmp_path: Path) -> None:
    path = tmp_path / "flat.onnx"
    path.write_bytes(flat_model(Type.INT32, targets=2).SerializeToString())
    kind = "BATCH_ELEMENT_COUNT"
    with load(path, kind, "INT32", rows=4, execution=execution, targets=2) as served:
        got = answers(served, inputs_of(SHAPES))
    for answer in got:
        assert answer["TOLD_0"].tolist() == answer["TOLD_1"].tolist() == [12, 4, 3]


CONFIG = """
max_batch_size: 3
input [ { name: "INPUT" data_type: TYPE_FP32 dims: [ -1 ] allow_ragged_batch: true } ]
batch_input [
  {
    kind: BATCH_ACCUMULATED_ELEMENT_COUNT
    target_name: "INDEX_0"
    data_type: TYPE_FP32
    source_input: "INPUT"
  }
]
batch_output [
  { kind: BATCH_SCATTER_WITH_INPUT_SHAPE target_name: "OUTPUT" source_input: "INPUT" }
]
dynamic_batching { max_queue_delay_microseconds: 10000000 }
"""


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_three_lengths_follow_each_other_as_their_configuration_says(
    execution: str, tmp_path: Path
) -> None:
    path = tmp_path / "flat.onnx"
    path.write_bytes(flat_model(Type.FLOAT).SerializeToString())
    config = tmp_path / "config.pbtxt"
    config.write_text(CONFIG, encoding="utf-8")
    arrays = inputs_of([(1, 3), (1, 4), (1, 5)])
    with dynbatch.load(
        path,
        config=config,
        outputs={name: dynbatch.Output(shared=True) for name in ("SIZE", "TOLD_0")},
        execution=execution,
        batching="always",
        verify=False,
    ) as served:
        assert [node.name for node in served.get_inputs()] == ["INPUT"]
        got = answers(served, arrays)
    for answer, array in zip(got, arrays, strict=True):
        np.testing.assert_array_equal(answer["OUTPUT"], array)
        assert answer["TOLD_0"].dtype == np.float32
        assert answer["TOLD_0"].tolist() == [3, 7, 12]
    assert served.stats().batches_by_size[3] == 1


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_what_is_made_of_a_batch_is_nobodys_to_give(execution: str, tmp_path: Path) -> None:
    path = tmp_path / "flat.onnx"
    path.write_bytes(flat_model(Type.INT32).SerializeToString())
    x = np.ones((1, 3), np.float32)
    index = np.zeros(1, np.int32)
    with load(path, "BATCH_ELEMENT_COUNT", "INT32", rows=1, execution=execution) as served:
        assert [node.name for node in served.get_inputs()] == ["INPUT"]
        for feeds, message in (
            ({"INPUT": x, "INDEX_0": index}, "'INDEX_0' is made by the runtime for each batch"),
            ({"INDEX_0": index}, "'INPUT' is missing: expected INPUT, got INDEX_0"),
            ({"INPUT": x, "Z": x}, "there is no input 'Z': expected INPUT$"),
        ):
            with pytest.raises(dynbatch.InvalidInput, match=message):
                served.infer(feeds)
        assert served.infer(x)["TOLD_0"].tolist() == [3]  # the bare array of the one input
    stats = served.stats()
    assert (stats.refused, stats.succeeded) == (3, 1)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_masks_may_be_given_or_left_out(execution: str, models: dict[str, Path]) -> None:
    ids = np.array([[3, 1, 2]])
    with dynbatch.load(
        models["free_sequence"],
        execution=execution,
        inputs={"ids": dynbatch.Input(mask="attention_mask")},
        lengths={"sequence": [8, 16]},
        gears=[1],
    ) as served:
        assert [node.name for node in served.get_inputs()] == ["ids", "attention_mask"]
        given = served.infer({"ids": ids, "attention_mask": np.ones_like(ids)})
        for feeds in ({"ids": ids}, ids):
            left_out = served.infer(feeds)
            for name, array in given.items():
                np.testing.assert_array_equal(left_out[name], array)
        with pytest.raises(
            dynbatch.InvalidInput,
            match="'ids' is missing: expected ids, attention_mask, got attention_mask",
        ):
            served.infer({"attention_mask": ids})


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_mask_that_is_not_declared_must_be_given(execution: str, models: dict[str, Path]) -> None:
    with (
        dynbatch.load(models["free_sequence"], execution=execution, gears=[1]) as served,
        pytest.raises(dynbatch.InvalidInput, match="'attention_mask' is missing"),
    ):
        served.infer({"ids": np.array([[3, 1, 2]])})


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_items_of_other_ranks_are_told_apart(execution: str, tmp_path: Path) -> None:
    path = tmp_path / "flat.onnx"
    path.write_bytes(flat_model(Type.INT64).SerializeToString())
    arrays = inputs_of([(8, 3), (8, 3, 4, 5), (8, 2)])
    with dynbatch.load(
        path,
        execution=execution,
        ragged=["INPUT"],
        batch_inputs=[
            dynbatch.BatchInput(
                kind="BATCH_ITEM_SHAPE_FLATTEN",
                target_name="INDEX_0",
                data_type="INT64",
                source_input="INPUT",
            )
        ],
        batch_outputs=[
            dynbatch.BatchOutput(
                kind="BATCH_SCATTER_WITH_INPUT_SHAPE", target_name="OUTPUT", source_input="INPUT"
            )
        ],
        outputs={name: dynbatch.Output(shared=True) for name in ("SIZE", "TOLD_0")},
        batching="always",
        verify=False,
        max_batch_size=16,
        max_queue_delay=0.05,
    ) as served:
        got = answers(served, arrays)
    for answer, array in zip(got, arrays, strict=True):
        np.testing.assert_array_equal(answer["OUTPUT"], array)
    assert got[1]["TOLD_0"].tolist() == [3, 4, 5] * 8
    for i in (0, 2):
        assert got[i]["TOLD_0"].reshape(-1, 1).shape[0] in (8, 16)
        assert set(got[i]["TOLD_0"].tolist()) <= {2, 3}


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_items_that_the_model_cannot_be_told_are_refused(execution: str, tmp_path: Path) -> None:
    path = tmp_path / "flat.onnx"
    built = flat_model(Type.INT64, rank=2)
    for told in (*built.graph.input[1:], built.graph.output[2]):
        told.type.tensor_type.shape.dim[1].dim_value = 2
    path.write_bytes(built.SerializeToString())
    with load(path, "BATCH_ITEM_SHAPE", "INT64", rows=1, execution=execution) as served:
        (answer,) = answers(served, inputs_of([(1, 3, 4)]))
        assert answer["TOLD_0"].tolist() == [[3, 4]]
        with pytest.raises(dynbatch.InvalidInput, match=r"items of 2 dimensions.*INDEX_0"):
            served.infer({"INPUT": np.zeros((1, 5), np.float32)})


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_what_the_model_says_of_itself_is_read(execution: str, models: dict[str, Path]) -> None:
    arrays = inputs_of([(1, 3), (1, 4), (1, 5)])
    with dynbatch.load(
        models["ragged_declared"],
        execution=execution,
        batching="always",
        verify=False,
        max_batch_size=3,
        max_queue_delay=10,
    ) as served:
        got = answers(served, arrays)
    for answer, array in zip(got, arrays, strict=True):
        np.testing.assert_array_equal(answer["OUTPUT"], array)
        assert answer["SEEN"].tolist() == [3.0, 7.0, 12.0]
