"""Arrays: the caller's stay the caller's, results become the caller's, copies are counted."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

import numpy as np
import pytest

import dynbatch
from gate import Gate, rows
from model_cases import case_named

EXECUTIONS = ("native", "python")


def test_feeds_may_change_once_a_call_has_returned(gated: dynbatch.Batcher, gate: Gate) -> None:
    gate.hold()
    blocker = gated.submit(rows(0))
    gate.wait_until_inside()
    x = rows(1)
    submitted = gated.submit(x)
    x[:] = 100
    gate.let_go()
    blocker.result()
    np.testing.assert_array_equal(submitted.result()["output"], rows(2))


def test_feeds_may_change_once_a_coroutine_has_been_started(
    gated: dynbatch.Batcher, gate: Gate
) -> None:
    async def serve() -> None:
        gate.hold()
        x = rows(1)
        task = asyncio.create_task(gated.infer_async(x))
        await asyncio.sleep(0)
        x[:] = 100
        gate.let_go()
        np.testing.assert_array_equal((await task)["output"], rows(2))

    asyncio.run(serve())


def test_feeds_may_change_once_a_first_coroutine_has_been_started() -> None:
    async def serve() -> None:
        for feeds in ({"x": rows(1)}, rows(1)):
            with dynbatch.Batcher(lambda x: 2 * x) as batcher:
                task = asyncio.create_task(batcher.infer_async(feeds))
                await asyncio.sleep(0)
                (feeds["x"] if isinstance(feeds, dict) else feeds)[:] = 100
                np.testing.assert_array_equal((await task)["output"], rows(2))

    asyncio.run(serve())


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", ["one_gemm", "unknown_inner_output", "wide"])
def test_results_are_nobody_elses(
    name: str, count: int, execution: str, models: dict[str, Path]
) -> None:
    # Rows of "wide" are large enough for their memory to be handed over instead of copied.
    feeds = (
        {"x": np.ones((count, 40_000), dtype=np.float32)}
        if name == "wide"
        else case_named(name).feeds(count)
    )
    wide: dict[str | tuple[str, int], int] = {("x", 1): 200, ("x", 2): 200}
    dimensions = wide if name == "wide" else None
    if name == "wide":
        feeds = {"x": feeds["x"].reshape(count, 200, 200)}
    with dynbatch.load(
        models["free_unnamed" if name == "wide" else name],
        execution=execution,
        dimensions=dimensions,
        max_batch_size=4,
        batching="always",
    ) as model:
        first = model.infer(feeds)["y"]
        expected = first.copy()
        assert first.flags.writeable
        assert first.flags.c_contiguous
        for _ in range(20):
            later = model.infer({key: -value for key, value in feeds.items()})["y"]
            later[:] = np.nan
        np.testing.assert_array_equal(first, expected)
        kept = [model.infer(feeds)["y"] for _ in range(200)]
        first[:] = np.nan
        for array in kept:
            np.testing.assert_array_equal(array, expected)
    del model
    gc.collect()
    for array in kept:
        np.testing.assert_array_equal(array, expected)


def test_contiguous_arrays_pass_without_a_copy(gated: dynbatch.Batcher) -> None:
    read_only = rows(1, 2)
    read_only.flags.writeable = False
    for x in (rows(1), rows(1, 2)[1:], read_only, rows(1).view(np.ndarray)):
        gated.infer(x)
    assert gated.stats().copied_arrays == 0


def test_copies_are_counted(gated: dynbatch.Batcher) -> None:
    x = rows(1, 2, 3)
    copied = (
        x[::2],
        np.asfortranarray(x),
        x.astype(x.dtype.newbyteorder()),
        x.tolist(),
        np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(3, 4),
    )
    for count, each in enumerate(copied, start=1):
        expected = 2 * np.asarray(each, dtype=np.float32)
        np.testing.assert_array_equal(gated.infer(each)["output"], expected)
        assert gated.stats().copied_arrays == count


def test_a_memory_mapped_array_is_a_feed(gated: dynbatch.Batcher, tmp_path: Path) -> None:
    path = tmp_path / "rows.npy"
    np.save(path, np.repeat(rows(3), 1000, axis=0))
    mapped = np.load(path, mmap_mode="r")
    np.testing.assert_array_equal(gated.infer(mapped)["output"], 2 * np.asarray(mapped))
    assert gated.stats().copied_arrays == 0


def test_unread_results_do_not_stop_the_runs(models: dict[str, Path]) -> None:
    x = case_named("one_gemm").feeds(1)["x"]
    with dynbatch.load(models["one_gemm"], max_batch_size=4, batching="always") as model:
        expected = model.infer(x)["y"]
        unread = [model.submit(x) for _ in range(200)]
        np.testing.assert_array_equal(model.infer(x)["y"], expected)
        for future in unread:
            np.testing.assert_allclose(future.result()["y"], expected, rtol=1e-5)
        unread.clear()
        del future
        gc.collect()
    assert model.stats().unread_bytes == 0


def test_a_kept_exception_keeps_no_rows(models: dict[str, Path]) -> None:
    ids = np.zeros((12, 4), dtype=np.int64)
    ids[-1] = 100_000  # the last of three parts fails, after the others were copied out

    async def failing(model: dynbatch.Model) -> dynbatch.ExecutionError:
        with pytest.raises(dynbatch.ExecutionError) as caught:
            await model.infer_async(ids)
        return caught.value

    with dynbatch.load(
        models["guarded_gather"], batching="always", max_batch_size=4, workers=1
    ) as model:
        kept = asyncio.run(failing(model))
    assert model.stats().unread_bytes == 0
    assert kept.__traceback__ is not None
