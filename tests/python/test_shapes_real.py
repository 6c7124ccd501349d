"""Real models whose rows differ in shape: sentences, images of lines, sound with a state."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import dynbatch
from crowd import CROWDS, Request
from real_models import RealModel, real_models
from reference import answers_of, session, share_in_company

EXECUTIONS = ("native", "python")


def serve(model: RealModel, requests: Sequence[Request], **options: Any) -> dynbatch.Stats:
    """Serves the requests to each crowd, in company; figures of the closed model."""
    with dynbatch.load(
        model.path,
        max_batch_size=8,
        batching="always",
        max_queue_delay=0.05,
        on_full="wait",
        **options,
    ) as served:
        for crowd in CROWDS:
            crowd(served, requests, model.tolerance)
    stats = served.stats()
    assert stats.accepted == stats.succeeded == len(CROWDS) * len(requests)
    assert share_in_company(stats.batches_by_size) >= 0.8
    print(  # shown by pytest -rP
        f"{model.name}: {stats.rows} rows in {stats.batches} runs, "
        f"{stats.rows / stats.batches:.1f} a run; {stats.padded_elements} elements of padding "
        f"beside {stats.elements}; runs by size {stats.batches_by_size}"
    )
    return stats


def alone(model: RealModel, feeds: Sequence[dict[str, Any]]) -> list[Request]:
    run = session(model.path)
    return [Request(each, answers_of(run, each)) for each in feeds]


@pytest.fixture(scope="module")
def sentences() -> list[Request]:
    """One or two sentences of 4 to 48 tokens each."""
    model = real_models()["minilm"]
    lengths = np.random.default_rng(11).integers(4, 49, 36)
    return alone(
        model,
        [
            model.with_length(int(length)).feeds(1 + i % 2, seed=i)
            for i, length in enumerate(lengths)
        ],
    )


@pytest.mark.slow
@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("lengths", [[16, 32, 48], 48], ids=["gears", "longest"])
def test_sentences_of_all_lengths(lengths: Any, execution: str, sentences: list[Request]) -> None:
    stats = serve(
        real_models()["minilm"],
        sentences,
        execution=execution,
        inputs={"input_ids": dynbatch.Input(mask="attention_mask")},
        lengths={"sequence_length": lengths},
    )
    assert stats.padded_elements > 0


@pytest.mark.slow
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_lines_of_text_at_their_own_widths(execution: str) -> None:
    model = real_models()["ocr_rec"]
    rng = np.random.default_rng(13)
    widths = (96, 160, 320)
    requests = alone(
        model,
        [
            {"x": rng.uniform(-1, 1, (1, 3, 48, widths[i % 3])).astype(np.float32)}
            for i in range(36)
        ],
    )
    stats = serve(model, requests, execution=execution, dimensions={("x", 2): 48})
    assert stats.padded_elements == 0


@pytest.mark.slow
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_sound_with_its_state(execution: str) -> None:
    model = real_models()["silero_vad"]
    rng = np.random.default_rng(17)
    feeds = [
        model.feeds(n, seed=n) | {"state": rng.standard_normal((2, n, 128)).astype(np.float32)}
        for n in (1, 2, 1, 3) * 9
    ]
    serve(model, alone(model, feeds), execution=execution, dimensions=model.dimensions)


@pytest.mark.slow
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_sound_of_two_rates(execution: str) -> None:
    # The rate is a scalar that all rows of a run share, and it says how long a window has to be, so
    # that what is made up at load would not do. Nor have the axes names.
    half = real_models()["silero_vad"]
    model = dataclasses.replace(half, path=half.path.with_name("silero_vad.onnx"))
    rng = np.random.default_rng(19)

    def feeds(rows: int, rate: int) -> dict[str, Any]:
        return {
            "input": rng.uniform(-0.3, 0.3, (rows, rate * 9 // 250)).astype(np.float32),
            "state": rng.standard_normal((2, rows, 128)).astype(np.float32),
            "sr": np.array(rate, np.int64),
        }

    requests = [feeds(1 + i % 3, (16000, 8000)[i % 2]) for i in range(48)]
    stats = serve(
        model,
        alone(model, requests),
        execution=execution,
        inputs={"state": dynbatch.Input(batch_axis=1)},
        verify=feeds(2, 16000),
    )
    assert stats.padded_elements == 0
