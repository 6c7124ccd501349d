"""The answer of a request is the model's answer for it alone, whatever shares its batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import dynbatch
from crowd import CROWDS, Crowd, Request, from_coroutines, from_futures, from_threads
from model_cases import CASES, ModelCase, Rows
from real_models import RealModel, real_models
from reference import answers_of, assert_close, session, share_in_company

EXECUTIONS = ("native", "python")
ROW_COUNTS = (1, 1, 2, 1, 3, 1)
# Where the probe finds rows equal to the last bit, answers are; otherwise this much of max|y|.
TOLERANCE = 1e-4

SMALL = [case for case in CASES if case.rows is Rows.INDEPENDENT]
REAL = ("ocr_cls", "ocr_rec", "magika", "minilm", "minilm_int8")


def requests_of(case: ModelCase | RealModel, path: Path, count: int) -> list[Request]:
    """Requests of one to three rows, with their answers alone."""
    run = session(path)
    requests = []
    for i in range(count):
        feeds = case.feeds(ROW_COUNTS[i % len(ROW_COUNTS)], seed=i)
        requests.append(Request(feeds, answers_of(run, feeds)))
    return requests


def check(
    source: Any,
    requests: Sequence[Request],
    tolerance: float = TOLERANCE,
    crowds: Sequence[Crowd] = CROWDS,
    **options: Any,
) -> dynbatch.Stats:
    """Serves the requests to each crowd, and leaves the figures of a closed model."""
    # Large rows fill the queue of some models: futures then wait for room instead of failing.
    with dynbatch.load(source, max_batch_size=8, on_full="wait", **options) as model:
        bit_equal = model._runtime.core.report.bit_equal  # type: ignore[union-attr]
        for crowd in crowds:
            crowd(model, requests, 0.0 if bit_equal else tolerance)
    stats = model.stats()
    assert stats.accepted == stats.succeeded == len(crowds) * len(requests)
    assert stats.in_flight == 0
    rows = sum(len(next(iter(request.expected.values()))) for request in requests)
    assert stats.rows == len(crowds) * rows
    return stats


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_small_models_in_company(case: ModelCase, execution: str, models: dict[str, Path]) -> None:
    requests = requests_of(case, models[case.name], 48)  # 72 rows: nine full batches
    options: dict[str, Any] = {
        "execution": execution,
        "dimensions": case.dimensions,
        "batching": "always",
    }
    # Threads wait for their answers, and would wait for company at the end of each round.
    check(models[case.name], requests, crowds=[from_threads], max_queue_delay=0.01, **options)
    stats = check(
        models[case.name],
        requests,
        crowds=[from_futures, from_coroutines],
        max_queue_delay=10,
        **options,
    )
    assert share_in_company(stats.batches_by_size) >= 0.8


@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
def test_small_models_with_the_defaults(case: ModelCase, models: dict[str, Path]) -> None:
    requests = requests_of(case, models[case.name], 36)
    check(models[case.name], requests, dimensions=case.dimensions)


@dataclass(frozen=True)
class RealCase:
    """A real model with its requests, which are made once for all tests of it."""

    model: RealModel
    requests: list[Request]


@pytest.fixture(scope="module", params=REAL)
def real(request: pytest.FixtureRequest) -> RealCase:
    model = real_models()[request.param]
    requests = requests_of(model, model.path, 12)
    # Bound dimensions let ONNX Runtime optimise further than it does for InferenceSession's users,
    # so that the last bits are those of the bound model, run alone.
    with dynbatch.load(model.path, dimensions=model.dimensions, batching="off", gears=[3]) as alone:
        answers = [alone.infer(each.feeds) for each in requests]
    for each, answer in zip(requests, answers, strict=True):
        assert_close(answer, each.expected, tolerance=TOLERANCE)
    return RealCase(model, [Request(r.feeds, a) for r, a in zip(requests, answers, strict=True)])


@pytest.mark.slow
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_real_models_in_company(real: RealCase, execution: str) -> None:
    stats = check(
        real.model.path,
        real.requests,
        real.model.tolerance,
        execution=execution,
        dimensions=real.model.dimensions,
        batching="always",
        max_queue_delay=0.2,
        verify=real.model.feeds(3),
    )
    assert share_in_company(stats.batches_by_size) >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_real_models_with_the_defaults(real: RealCase, execution: str) -> None:
    check(
        real.model.path,
        real.requests,
        real.model.tolerance,
        execution=execution,
        dimensions=real.model.dimensions,
    )
