"""How requests become batches: together, cut, filled, empty, in order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import dynbatch
from gate import Array, Gate, rows
from model_cases import case_named
from reference import answers_of, assert_close, session

EXECUTIONS = ("native", "python")


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_eight_requests_held_together_are_one_batch(
    execution: str, models: dict[str, Path]
) -> None:
    feeds = case_named("one_gemm").feeds(8)["x"]
    expected = session(models["one_gemm"]).run(None, {"x": feeds})[0]
    with dynbatch.load(
        models["one_gemm"],
        execution=execution,
        max_batch_size=8,
        batching="always",
        max_queue_delay=10,
    ) as model:
        futures = [model.submit(row[None]) for row in feeds]
        answers = np.concatenate([future.result()["y"] for future in futures])
    stats = model.stats()  # of a closed model: a run is counted a moment after its answers are out
    np.testing.assert_array_equal(answers, expected)
    assert stats.batches_by_size[8] == 1
    assert stats.batches == 1
    assert stats.closed_full == 1


def test_requests_that_meet_behind_a_run_are_one_batch(gated: dynbatch.Batcher, gate: Gate) -> None:
    gate.hold()
    first = gated.submit(rows(0))
    gate.wait_until_inside()
    others = [gated.submit(rows(i)) for i in range(1, 9)]
    gate.let_go()
    for i, future in enumerate([first, *others]):
        np.testing.assert_array_equal(future.result()["output"], rows(2 * i))
    assert gate.batches == [1, 8]
    gated.close()
    assert gated.stats().batches_by_size[8] == 1


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize(
    "name", ["one_gemm", "many_types", "unknown_inner_output", "shared_scalar"]
)
def test_eleven_rows_are_cut_at_eight_and_joined(
    name: str, execution: str, models: dict[str, Path]
) -> None:
    feeds = case_named(name).feeds(11)
    expected = answers_of(session(models[name]), feeds)
    with dynbatch.load(
        models[name], execution=execution, max_batch_size=8, batching="always"
    ) as model:
        answers = model.infer(feeds)
        later = model.submit(feeds).result()
    stats = model.stats()
    # In other batch sizes ONNX Runtime may add in another order.
    for answer in (answers, later):
        assert_close(answer, expected, tolerance=1e-5)
    assert stats.rows == 22
    assert stats.batches >= 4
    assert max(n for n, count in enumerate(stats.batches_by_size) if count) == 8


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_a_fixed_batch_is_filled(count: int, execution: str, models: dict[str, Path]) -> None:
    x = np.random.default_rng(3).standard_normal((count, 16), dtype=np.float32)
    padded = np.zeros((8, 16), dtype=np.float32)
    padded[:count] = x
    run = session(models["fixed_batch"])
    expected = np.concatenate([run.run(None, {"x": part})[0] for part in np.split(padded, 2)])
    with dynbatch.load(models["fixed_batch"], execution=execution) as model:
        np.testing.assert_array_equal(model.infer(x)["y"], expected[:count])
        assert [gear.batch_size for gear in model.gears.gears] == [4]
        assert model.gears.filled
    stats = model.stats()
    assert stats.rows == count
    assert (stats.rows + stats.padded_rows) % 4 == 0


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_gears_can_be_filled(execution: str, models: dict[str, Path]) -> None:
    feeds = case_named("one_gemm").feeds(3)
    expected = session(models["one_gemm"]).run(None, feeds)[0]
    with dynbatch.load(
        models["one_gemm"], execution=execution, gears=[4, 8], fill=True, batching="always"
    ) as model:
        np.testing.assert_allclose(model.run(None, feeds)[0], expected, rtol=1e-5)
    stats = model.stats()
    assert stats.padded_rows == 1
    assert stats.batches_by_size[3] == 1


def test_no_rows_need_no_run(gated: dynbatch.Batcher, gate: Gate) -> None:
    answer = gated.infer(rows())["output"]
    assert answer.shape == (0, 4)
    assert answer.dtype == np.float32
    assert gate.batches == []
    assert gated.stats().succeeded == 1


def test_requests_of_one_thread_start_in_order(gated: dynbatch.Batcher, gate: Gate) -> None:
    seen: list[float] = []

    def spy(x: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> object:
        seen.extend(x[:, 0].tolist())
        return gate(x)

    with dynbatch.Batcher(spy, example=rows(1), batching="always", max_batch_size=4) as batcher:
        seen.clear()
        futures = [batcher.submit(rows(i)) for i in range(40)]
        for future in futures:
            future.result()
    assert seen == [float(i) for i in range(40)]


def test_map_keeps_the_order_and_looks_no_further_ahead(
    gated: dynbatch.Batcher, gate: Gate
) -> None:
    taken = 0

    def feeds() -> Iterator[Array]:
        nonlocal taken
        for i in range(20):
            taken += 1
            yield rows(i)

    answers = gated.map(feeds(), look_ahead=3)
    first = next(answers)
    assert taken <= 4
    values = [first, *answers]
    assert [float(value["output"][0, 0]) for value in values] == [2.0 * i for i in range(20)]


def test_map_cancels_what_it_leaves(gated: dynbatch.Batcher, gate: Gate) -> None:
    def feeds() -> Iterator[Array]:
        yield from (rows(1), rows(2), rows(3))
        raise LookupError

    gate.hold()
    blocker = gated.submit(rows(9))
    gate.wait_until_inside()
    with pytest.raises(LookupError):
        next(gated.map(feeds(), look_ahead=8))
    gate.let_go()
    blocker.result()
    gated.close()
    assert gated.stats().cancelled == 3


def test_map_goes_on_where_the_queue_is_full() -> None:
    with dynbatch.Batcher(
        lambda x: 2 * x, example=rows(1), batching="always", max_batch_size=2, queue_capacity=2
    ) as batcher:
        answers = batcher.map((rows(i) for i in range(50)), look_ahead=40)
        assert [float(each["output"][0, 0]) for each in answers] == [2.0 * i for i in range(50)]


def test_the_cap_follows_from_the_times_that_are_shown(models: dict[str, Path]) -> None:
    # Whether the rule suits costs of each shape: tests/cpp/runtime/batching_plan_test.cpp.
    with dynbatch.load(models["mlp"]) as model:
        table = model.gears
    assert [gear.batch_size for gear in table.gears] == [1, 2, 4, 8, 16, 32]
    best = min(gear.seconds_per_row for gear in table.gears)
    fitting = [g.batch_size for g in table.gears if g.seconds_per_row <= 1.03 * best]
    assert table.cap == min(fitting)


def test_only_wanted_outputs_are_computed(models: dict[str, Path]) -> None:
    feeds = case_named("many_types").feeds(2)
    expected = session(models["many_types"]).run(["flag_not", "i64_same"], feeds)
    for execution in EXECUTIONS:
        with dynbatch.load(
            models["many_types"], execution=execution, outputs=["flag_not", "i64_same"]
        ) as model:
            assert [node.name for node in model.get_outputs()] == ["flag_not", "i64_same"]
            for got, reference in zip(model.run(None, feeds), expected, strict=True):
                np.testing.assert_array_equal(got, reference)
            with pytest.raises(dynbatch.InvalidInput, match="total_f32"):
                model.run(["total_f32"], feeds)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_bfloat16_is_the_dtype_of_ml_dtypes(execution: str, tmp_path: Path) -> None:
    import ml_dtypes
    from onnx import TensorProto, helper, save

    bfloat16 = TensorProto.BFLOAT16
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["x"], ["wide"], to=TensorProto.FLOAT),
            helper.make_node("Add", ["wide", "wide"], ["sum"]),
            helper.make_node("Cast", ["sum"], ["y"], to=bfloat16),
        ],
        "graph",
        [helper.make_tensor_value_info("x", bfloat16, ["batch", 3])],
        [helper.make_tensor_value_info("y", bfloat16, ["batch", 3])],
    )
    path = tmp_path / "bfloat16.onnx"
    save(helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 17)]), path)
    x = np.array([[1, 2, 3]]).astype(ml_dtypes.bfloat16)
    with dynbatch.load(path, execution=execution, max_batch_size=2) as model:
        answer = model.infer(x)["y"]
        assert answer.dtype == ml_dtypes.bfloat16
        np.testing.assert_array_equal(answer, x + x)
        with pytest.raises(dynbatch.InvalidInput, match="expected dtype bfloat16, got float32"):
            model.infer(x.astype(np.float32))
