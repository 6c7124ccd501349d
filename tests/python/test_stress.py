"""Stress from Python: every request ends once, with its own answer or for a reason.

DYNBATCH_STRESS_SCALE makes it longer, and prints a line a run; DYNBATCH_STRESS_SEED repeats it.
That line, and each failure, begins with the command that does so.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import dynbatch
from gate import Array
from reference import session
from stressed import SCALE, Requests, Source, Stress, replay, run_stress

TINY = {"max_batch_size": 2, "queue_capacity": 2}

STRESSES = (
    Stress("calm"),
    Stress("tiny_queue", options=TINY),
    Stress("delays", delays=True, options={"max_batch_size": 8}),
    Stress("gives_up", gives_up=True, options={"workers": 2}),
    Stress("poison", poison=True, options={"max_batch_size": 8}),
    Stress("everything", poison=True, gives_up=True, delays=True, options={"queue_capacity": 32}),
    Stress("drained", requests=80, close="draining", options={"max_queue_delay": 0.001}),
    Stress("closed", requests=80, close="cancelling", gives_up=True, options=TINY),
)


def triple(ids: Array) -> Array:
    if (ids > 99).any():
        raise LookupError("an id above 99")
    answer: Array = ids * 3
    return answer


def source_of(execution: str, models: dict[str, Path]) -> tuple[Source, Requests]:
    if execution == "function":
        example = np.zeros((1, 4), dtype=np.int64)
        function = partial(dynbatch.Batcher, triple, example=example, rerun_on_failure=True)
        return function, Requests(triple)
    run = session(models["guarded_gather"])
    source = partial(dynbatch.load, models["guarded_gather"], execution=execution)
    return source, Requests(lambda ids: np.asarray(run.run(None, {"ids": ids})[0]))


@pytest.mark.parametrize("stress", STRESSES, ids=lambda stress: stress.name)
@pytest.mark.parametrize("execution", ["native", "python", "function"])
def test_every_request_ends_once_and_right(
    execution: str, stress: Stress, models: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    source, requests = source_of(execution, models)
    wanted = SCALE * 1500
    if stress.close is None:
        stress = replace(stress, requests=math.ceil(SCALE * stress.requests))
    ended: Counter[str] = Counter()
    while ended["accepted"] < wanted:
        ended += run_stress(stress, source, requests)
    if "DYNBATCH_STRESS_SCALE" in os.environ:
        with capsys.disabled():
            print(f"{replay(stress)}: {execution}, {dict(ended)}")
