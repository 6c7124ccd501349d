"""Small models on disk, a function that can be held inside a run, and Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import dynbatch
from gate import EXAMPLE, Gate
from model_cases import write_all


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_raises() -> None:
    """A shell starts what it runs in the background with Ctrl-C ignored, and Python keeps that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The paths of the small models, by name."""
    return write_all(tmp_path_factory.mktemp("models"))


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.let_go()


@pytest.fixture
def gated(gate: Gate) -> Iterator[dynbatch.Batcher]:
    """Batches of up to eight rows through the gate, on one worker."""
    with dynbatch.Batcher(gate, example=EXAMPLE, batching="always", max_batch_size=8) as batcher:
        gate.batches.clear()
        yield batcher
        gate.let_go()


@pytest.fixture
def full(gate: Gate) -> Iterator[dynbatch.Batcher]:
    """One request in a run, and not a row of room behind it; one request was refused."""
    with dynbatch.Batcher(
        gate, example=EXAMPLE, batching="always", max_batch_size=2, queue_capacity=2
    ) as batcher:
        gate.hold()
        batcher.submit(EXAMPLE)
        gate.wait_until_inside()
        with pytest.raises(dynbatch.QueueFull):
            while True:
                batcher.submit(EXAMPLE)
        yield batcher
        gate.let_go()
