"""Each gear of a compiled model beside a session of ONNX Runtime that is fixed to its size.

Each contender has its one request in memory that stands ready, and one thread. `GearModel` alone
takes an array and gives its caller arrays of its own.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import dynbatch
from bench.gears.acl_model import Array, acl_model
from bench.gears.models import GEARS, Gear, GearedModel, gear_name, gear_setter
from bench.load.closed_loop import Request, check, from_threads
from bench.load.contenders import Contender, itself, session
from bench.load.interleave import Aim, Scenario
from bench.peers.preformed import PreformedBatch

ACL, GEAR_MODEL = "dynbatch.acl", "GearModel"
FIXED, FREE = "fixed session", "free session"
MOST = 1.05  # of the fixed session's time
P50 = "p50_us"


def names() -> Iterator[tuple[str, str, Gear]]:
    """Of the scenarios, with their models and gears."""
    for model, gears in GEARS.items():
        for gear in gears:
            yield f"gear_{model}_{gear_name(gear)}", model, gear


@contextmanager
def gear(name: str, model_name: str, gear: Gear) -> Iterator[Scenario]:
    """One gear, set and executed each time, while the others are loaded too."""
    model = GearedModel.named(model_name)
    feeds = model.feeds(gear)
    free = session(model.path, threads=1)
    (expected,) = free.run(None, dict(feeds))
    (output,) = model.described.outputs
    request = Request(gear, expected, model.shape(gear)[0], model.described.tolerance)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        compiled = model.compiled(folder)
        y: Array = np.empty_like(expected)
        calls = stack.enter_context(acl_model(compiled, gear, feeds[model.input], y))
        geared = dynbatch.GearModel(compiled)
        set_gear = gear_setter(geared, gear)

        def acl_call(gear: Gear) -> Array:
            calls.set_and_execute(gear)
            return y

        def gear_call(gear: Gear) -> Any:
            set_gear(*gear)
            return geared.execute(feeds)

        def bound(name: str, session: onnxruntime.InferenceSession) -> Contender:
            batch = dataclasses.replace(request, argument=PreformedBatch(session, feeds))
            return lone(name, PreformedBatch.run, [batch], first_output)

        yield Scenario(
            name=name,
            title=f"{model_name}, gear {gear_name(gear)}",
            contenders=[
                lone(ACL, acl_call, [request]),
                lone(GEAR_MODEL, gear_call, [request], operator.itemgetter(output)),
                bound(FIXED, model.fixed_session(gear, folder)),
                bound(FREE, free),
            ],
            baselines=[FIXED],
            metric=P50,
            aims=[Aim(ACL, [FIXED], asked=MOST, metric=P50)],
            notes={"model": model_name, "gear": gear_name(gear)},
        )


def lone(
    name: str,
    call: Callable[[Any], Any],
    requests: Sequence[Request],
    output: Callable[[Any], Array] = itself,
) -> Contender:
    """One thread that makes these requests in turn; each is checked before any is measured."""
    for request in requests:
        check(output(call(request.argument)), request)
    return Contender(name, 1, functools.partial(from_threads, call, output, requests, 1))


def first_output(batch: PreformedBatch) -> Array:
    return batch.outputs()[0]
