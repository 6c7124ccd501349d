"""What a model tells about itself."""

from __future__ import annotations

import asyncio
import dataclasses
import select
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import dynbatch
from gate import Gate, rows
from model_cases import case_named


def test_requests_balance(gated: dynbatch.Batcher, gate: Gate) -> None:
    gate.hold()
    running = gated.submit(rows(0))
    gate.wait_until_inside()
    cancelled = gated.submit(rows(1))
    assert gated.stats().in_flight == 2
    assert gated.stats().runs_under_way == 1
    cancelled.cancel()
    with pytest.raises(dynbatch.Timeout):
        gated.infer(rows(2), timeout=0.01)
    with pytest.raises(dynbatch.InvalidInput):
        gated.infer(np.ones(3))
    assert gated.stats().in_flight == 1
    gate.let_go()
    running.result()
    gated.close()
    stats = gated.stats()
    assert (stats.accepted, stats.succeeded, stats.cancelled, stats.timed_out) == (3, 1, 1, 1)
    assert (stats.failed, stats.in_flight, stats.refused) == (0, 0, 1)


def test_who_waits_for_room_is_not_refused(
    full: dynbatch.Batcher, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    poll = select.poll
    waits: list[bool] = []

    def poll_at_last() -> Any:  # made where the main thread begins to wait
        waits.append(True)
        gate.let_go()
        return poll()

    monkeypatch.setattr(select, "poll", poll_at_last)
    full.infer(rows(1))
    assert waits
    assert full.stats().refused == 1


def test_who_gives_up_waiting_for_room_is_refused(full: dynbatch.Batcher) -> None:
    with pytest.raises(dynbatch.Timeout):
        full.infer(rows(1), timeout=0.01)
    assert full.stats().refused == 2


def test_coroutines_that_wait_for_room_are_counted_once(full: dynbatch.Batcher, gate: Gate) -> None:
    async def serve() -> None:
        lists = [rows(i).tolist() for i in range(20)]
        tasks = [asyncio.create_task(full.infer_async(each)) for each in lists]
        await asyncio.sleep(0)
        gate.let_go()
        for i, task in enumerate(tasks):
            np.testing.assert_array_equal((await task)["output"], rows(2 * i))

    before = full.stats()
    asyncio.run(serve())
    after = full.stats()
    assert after.accepted == before.accepted + 20
    assert after.copied_arrays == before.copied_arrays + 20
    assert after.refused == before.refused


def test_what_map_asks_again_is_counted_once() -> None:
    with dynbatch.Batcher(
        lambda x: 2 * x, example=rows(1), batching="always", max_batch_size=2, queue_capacity=2
    ) as batcher:
        lists = [rows(i).tolist() for i in range(50)]
        assert len(list(batcher.map(lists, look_ahead=40))) == 50
        stats = batcher.stats()
    assert (stats.accepted, stats.copied_arrays, stats.refused) == (50, 50, 0)


def test_runs_are_counted_by_size_and_reason(models: dict[str, Path]) -> None:
    x = case_named("one_gemm").feeds(8)["x"]
    with dynbatch.load(
        models["one_gemm"], max_batch_size=4, batching="always", max_queue_delay=10
    ) as model:
        futures = [model.submit(row[None]) for row in x]
        for future in futures:
            future.result()
        futures = [model.submit(x[:3])]
    stats = model.stats()
    assert stats.batches_by_size == (0, 0, 0, 1, 2)
    assert (stats.rows, stats.batches, stats.padded_rows) == (11, 3, 0)
    assert (stats.closed_full, stats.closed_drain) == (2, 1)
    assert stats.closed_idle + stats.closed_delay + stats.closed_space == 0
    assert stats.runs_on_callers + stats.runs_on_workers == 3
    assert stats.run_time.count == 3
    assert 0 < stats.run_time.p50 <= stats.run_time.p99
    assert stats.resident_bytes > 0


@pytest.mark.parametrize(("execution", "threads"), [("native", 0), ("python", 2)])
def test_execution_and_threads(execution: str, threads: int, models: dict[str, Path]) -> None:
    with dynbatch.load(models["one_gemm"], execution=execution, workers=2) as model:
        stats = model.stats()
        assert stats.execution == execution
        assert stats.workers == 2
        assert stats.python_threads == threads
        assert execution in repr(model)


def test_hints_set_workers(models: dict[str, Path]) -> None:
    from dynbatch._cpus import available_cpus

    for hint, workers in (("latency", 1), ("throughput", available_cpus()), (None, None)):
        with dynbatch.load(models["one_gemm"], hint=hint, max_batch_size=2) as model:
            assert model.stats().workers == (workers or available_cpus())


def test_lone_runs_are_measured_only_where_nothing_says_how_many_threads(
    models: dict[str, Path],
) -> None:
    from dynbatch._cpus import available_cpus

    def is_measured(**options: Any) -> bool:
        with dynbatch.load(models["one_gemm"], gears=[1, 4], **options) as model:
            return any(gear.seconds_alone is not None for gear in model.gears.gears)

    assert is_measured() == (available_cpus() > 1)
    assert not is_measured(hint="throughput")
    assert not is_measured(hint="latency")
    assert not is_measured(workers=available_cpus())
    assert not is_measured(intra_op_threads=1)
    assert not is_measured(execution="python")


def test_lone_runs_of_a_large_model_are_not_tried(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dynbatch._executors.LARGEST_MODEL_WITH_LONE_RUNS_BYTES", 100)
    for model in (models["one_gemm"], models["one_gemm"].read_bytes()):
        with dynbatch.load(model, gears=[1]) as loaded:
            assert loaded.gears.gears[0].seconds_alone is None


def test_lone_runs_of_a_model_whose_weights_lie_elsewhere_are_not_tried(
    models: dict[str, Path], tmp_path: Path
) -> None:
    path = tmp_path / "apart.onnx"
    onnx.save(
        onnx.load(models["one_gemm"]),
        path,
        save_as_external_data=True,
        location="weights",
        size_threshold=0,
    )
    with dynbatch.load(path, gears=[1]) as loaded:
        assert loaded.gears.gears[0].seconds_alone is None


@pytest.mark.parametrize("name", ["one_gemm", "mlp"])
def test_a_lone_caller_runs_alone_if_the_measured_times_say_so(
    name: str, models: dict[str, Path]
) -> None:
    with dynbatch.load(models[name], gears=[8]) as model:
        feeds = case_named(name).feeds(8)
        for _ in range(5):
            model.infer(feeds)
        (gear,) = model.gears.gears
        gains = gear.seconds_alone is not None and gear.seconds >= 1.15 * gear.seconds_alone
        runs_alone = model.stats().runs_alone
        # Runs that take longer than the measured ones put off the next.
        assert 1 <= runs_alone <= 5 if gains else runs_alone == 0


def test_stats_are_a_frozen_snapshot(gated: dynbatch.Batcher) -> None:
    stats = gated.stats()
    with pytest.raises(dataclasses.FrozenInstanceError):
        stats.accepted = 5  # type: ignore[misc]
    gated.infer(rows(1))
    assert stats.accepted == 0
    assert gated.stats().accepted == 1
    names = {field.name for field in dataclasses.fields(stats)}
    native = {name for name in dir(dynbatch._core.Stats) if not name.startswith("_")}
    assert native <= names


def test_the_gear_table_shows_what_was_measured(models: dict[str, Path]) -> None:
    with dynbatch.load(models["mlp"], gears=[8, 1, 4]) as model:
        table = model.gears
        assert table == model.stats().gear_table
        assert [gear.batch_size for gear in table.gears] == [8, 1, 4]
        assert table.kind == "batch size"
        assert not table.filled
        for gear in table.gears:
            assert gear.seconds > 0
            assert gear.seconds_per_row == gear.seconds / gear.batch_size
            assert gear.input_bytes == gear.output_bytes == gear.batch_size * 256 * 4
        plan = model.memory_plan()
        assert [gear.batch_size for gear in plan.gears] == [8, 1, 4]
        blocks = plan.batch_blocks * plan.batch_block_bytes
        assert plan.total_bytes >= blocks + plan.output_blocks * plan.output_block_bytes
        assert plan.queue_capacity > 0


def test_the_delay_may_be_changed(gated: dynbatch.Batcher) -> None:
    assert gated.max_queue_delay == 0
    gated.max_queue_delay = 0.25
    assert gated.max_queue_delay == 0.25
    wrong: list[Any] = [11, -1, True, "1", float("nan"), None]
    for seconds in wrong:
        with pytest.raises(dynbatch.InvalidArgument, match=f"max_queue_delay.*{seconds}"):
            gated.max_queue_delay = seconds
    assert gated.max_queue_delay == 0.25
    future = gated.submit(rows(1))
    gated.max_queue_delay = 0
    np.testing.assert_array_equal(future.result()["output"], rows(2))
