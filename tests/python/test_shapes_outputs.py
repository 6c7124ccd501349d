"""Outputs that are not one row for each row of the batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dynbatch
from crowd import CROWDS, Request
from reference import answers_of, session

EXECUTIONS = ("native", "python")


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("two_rows_per_row", None),
        ("two_rows_per_row", {"y": dynbatch.Output(rows_per_row=2)}),
        ("shared_output", None),
        ("shared_output", {"classes": dynbatch.Output(shared=True)}),
    ],
    ids=["pairs found", "pairs declared", "shared found", "shared declared"],
)
def test_requests_get_their_own_part(
    name: str, declared: Any, execution: str, models: dict[str, Path]
) -> None:
    run = session(models[name])
    rng = np.random.default_rng(7)
    feeds = [{"x": rng.standard_normal((1 + i % 3, 4), dtype=np.float32)} for i in range(36)]
    requests = [Request(each, answers_of(run, each)) for each in feeds]
    with dynbatch.load(
        models[name],
        max_batch_size=8,
        outputs=declared,
        execution=execution,
        batching="always",
        max_queue_delay=0.02,
        on_full="wait",
    ) as served:
        for crowd in CROWDS:
            crowd(served, requests, 0.0)
    stats = served.stats()
    assert stats.accepted == stats.succeeded == len(CROWDS) * len(requests)
    assert stats.rows == len(CROWDS) * 72
    assert stats.batches < stats.accepted
