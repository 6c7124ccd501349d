"""Inputs without a batch axis: requests meet only where the bytes of these are equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dynbatch
from model_cases import case_named
from reference import answers_of, session

EXECUTIONS = ("native", "python")


def load(models: dict[str, Path], name: str, execution: str) -> dynbatch.Model:
    return dynbatch.load(
        models[name],
        execution=execution,
        max_batch_size=8,
        batching="always",
        max_queue_delay=10,
    )


def split(feeds: dict[str, Any]) -> list[dict[str, Any]]:
    """One request a row of x, each with a shared input of its own memory."""
    return [
        {k: v[i : i + 1] if k == "x" else v.copy() for k, v in feeds.items()}
        for i in range(len(feeds["x"]))
    ]


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("name", ["shared_scalar", "shared_matrix", "shared_mask"])
def test_equal_ones_meet(name: str, execution: str, models: dict[str, Path]) -> None:
    feeds = case_named(name).feeds(8)
    expected = answers_of(session(models[name]), feeds)["y"]
    with load(models, name, execution) as model:
        futures = [model.submit(request) for request in split(feeds)]
        for i, future in enumerate(futures):
            np.testing.assert_allclose(future.result()["y"], expected[i : i + 1], rtol=1e-5)
    assert model.stats().batches_by_size[8] == 1


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("name", ["shared_scalar", "shared_matrix", "shared_mask"])
def test_different_ones_never_meet(name: str, execution: str, models: dict[str, Path]) -> None:
    case = case_named(name)
    (shared,) = case.shared
    feeds = case.feeds(16)
    other = dict(feeds)
    other[shared] = np.asarray(
        np.roll(feeds[shared], 1) if feeds[shared].size > 1 else -feeds[shared]
    )
    run = session(models[name])
    answers = [answers_of(run, one)["y"] for one in (feeds, other)]
    requests = [split(feeds), split(other)]
    with load(models, name, execution) as model:
        futures = [(kind, i, model.submit(requests[kind][i])) for i in range(16) for kind in (0, 1)]
        for kind, i, future in futures:
            np.testing.assert_allclose(future.result()["y"], answers[kind][i : i + 1], rtol=1e-5)
    stats = model.stats()
    assert stats.batches_by_size[8] == 4
    assert stats.batches == 4


def test_an_input_can_be_declared_shared(models: dict[str, Path]) -> None:
    feeds = case_named("shared_matrix").feeds(4)
    with dynbatch.load(
        models["shared_matrix"], inputs={"matrix": dynbatch.Input(shared=True)}
    ) as model:
        expected = answers_of(session(models["shared_matrix"]), feeds)["y"]
        np.testing.assert_allclose(model.infer(feeds)["y"], expected, rtol=1e-5)


def test_an_unknown_input_cannot_be_declared(models: dict[str, Path]) -> None:
    with pytest.raises(dynbatch.InvalidArgument, match=r"'z'.*'x', 'matrix'"):
        dynbatch.load(models["shared_matrix"], inputs={"z": dynbatch.Input(shared=True)})


def test_a_wrong_shared_shape_is_named(models: dict[str, Path]) -> None:
    feeds = case_named("shared_matrix").feeds(2)
    with (
        load(models, "shared_matrix", "native") as model,
        pytest.raises(dynbatch.InvalidInput, match=r"'matrix'.*\[16, 4\].*\[4, 16\]"),
    ):
        model.infer(feeds | {"matrix": np.ascontiguousarray(feeds["matrix"].T)})
