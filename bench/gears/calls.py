"""What setting a gear and executing it cost from Python, beside ONNX Runtime's own calls."""

from __future__ import annotations

import operator
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import dynbatch
from bench.gears.acl_model import Array, acl_model
from bench.gears.models import Gear
from bench.gears.times import ACL, GEAR_MODEL, P50, first_output, lone
from bench.load.closed_loop import Request
from bench.load.contenders import Feeds, session
from bench.load.interleave import Scenario
from bench.load.models import SMALL_MODELS, existing
from bench.peers.preformed import PreformedBatch

SIDE = 64
SIZES = (1, 4)
BOUND, PLAIN = "run_with_iobinding", "InferenceSession.run"


@contextmanager
def gear_calls() -> Iterator[Scenario]:
    """The smallest model, whose two gears take turns."""
    path = existing(SMALL_MODELS / "one_gemm.onnx")
    model = session(path, threads=1)
    x = np.random.default_rng(5).standard_normal((SIZES[-1], SIDE), np.float32)
    y = np.empty_like(x)
    feeds: dict[Gear, Feeds] = {(size,): {"x": x[:size]} for size in SIZES}
    requests = [Request(gear, model.run(None, fed)[0]) for gear, fed in feeds.items()]
    batches = {gear: PreformedBatch(model, fed) for gear, fed in feeds.items()}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        compiled = dynbatch.compile(
            path,
            output=folder / "one_gemm.om",
            input_shape={"x": (-1, SIDE)},
            dynamic_batch_size=SIZES,
        ).output
        calls = stack.enter_context(acl_model(compiled, (1,), x, y))
        geared = dynbatch.GearModel(compiled)

        def acl_call(gear: Gear) -> Array:
            calls.set_and_execute(gear)
            return y[: gear[0]]

        def gear_call(gear: Gear) -> Any:
            geared.set_dynamic_batch_size(*gear)
            return geared.execute(feeds[gear])

        def plain_call(gear: Gear) -> Any:
            return model.run(None, feeds[gear])

        def bound_call(gear: Gear) -> PreformedBatch:
            return batches[gear].run()

        yield Scenario(
            name="gear_calls",
            title="One Gemm 64 by 64, gears 1 and 4 in turns, from Python",
            contenders=[
                lone(ACL, acl_call, requests),
                lone(GEAR_MODEL, gear_call, requests, operator.itemgetter("y")),
                lone(PLAIN, plain_call, requests, operator.itemgetter(0)),
                lone(BOUND, bound_call, requests, first_output),
            ],
            baselines=[BOUND, PLAIN],
            metric=P50,
            notes={"gears": SIZES},
        )
