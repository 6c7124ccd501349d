"""Real models whose rows differ in shape, asked for one row at a time: sentences, lines of text.

dynbatch is held against what users write: batchers that pad to the longest of what came first, or
sort by length, or share runs among equal shapes, and sessions that run one row after another. All
are asked for one output, by coroutines; the runs of all have one thread each, and as many may run
at once.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import operator
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

import dynbatch
from bench.load.closed_loop import Block, Request, from_coroutines, from_threads
from bench.load.contenders import (
    Contender,
    Rows,
    dynbatch_coroutines,
    itself,
    session,
)
from bench.load.interleave import Aim, Scenario
from bench.load.models import existing
from bench.load.row_lengths import conversations, dealt, lines, sentences
from bench.machine import cpu_count
from bench.peers.padding_batcher import (
    Cut,
    PaddingBatcher,
    by_length,
    by_shape,
    joined_padded,
    oldest_first,
)
from bench.peers.preformed import PreformedBatch

DEFAULT, LONGEST = "dynbatch, length gears", "dynbatch, to the longest"
EQUAL = "dynbatch"
OLDEST, SORTED, SHAPES = "oldest first, padded", "sorted by length", "equal shapes"

ROWS_PER_CALLER = 8
SECONDS_PER_BLOCK = 2.0  # each caller has all its rows answered once or more
LARGEST = 32
# Rows of a batch of the batchers written by hand: those of 2, 4, 8, 16 and 32 with the best rate in
# one run of each; padding eats what larger batches gain.
PEER_LARGEST = {OLDEST: 2, SORTED: 4, SHAPES: 2}
READY = 8
GEARS = (8, 12, 16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128, 192, 256)
TOLERANCE = 1e-4
EXAMPLE_ROWS = 3
EXAMPLE_LENGTH = 32

DISTRIBUTIONS: Mapping[str, tuple[str, Callable[[int], list[int]]]] = {
    "minilm_lengths": ("sentences of lognormal lengths", sentences),
    "minilm_conversation_lengths": ("lengths of a conversation trace, scaled", conversations),
}


@contextmanager
def minilm(name: str, callers: int, **options: Any) -> Iterator[Scenario]:
    """Sentences of that distribution of lengths, one a call."""
    words, distribution = DISTRIBUTIONS[name]
    rising = distribution(ROWS_PER_CALLER * callers)
    rows = _sentences(dealt(rising, callers))
    longest = rising[-1]
    gears = [gear for gear in GEARS if gear < longest] + [longest]
    with ExitStack() as stack:

        def load(lengths: Sequence[int] | int) -> dynbatch.Model:
            return stack.enter_context(
                _load(
                    rows,
                    inputs={"input_ids": dynbatch.Input(mask="attention_mask")},
                    lengths={"sequence_length": lengths},
                    verify=_example(),
                    **options,
                )
            )

        by_gears, to_longest = load(gears), load(longest)
        peers = [
            _peer(OLDEST, rows, oldest_first, PEER_LARGEST[OLDEST], callers),
            _peer(SORTED, rows, by_length, PEER_LARGEST[SORTED], callers),
            *_one_by_one(rows, callers),
        ]
        yield Scenario(
            name=name,
            title=f"minilm, {words}, {callers} coroutines",
            contenders=[
                dynbatch_coroutines(DEFAULT, by_gears, rows, callers),
                dynbatch_coroutines(LONGEST, to_longest, rows, callers),
                *peers,
                _ready(rows, READY),
            ],
            baselines=[OLDEST, SORTED, peers[2].name],
            aims=_aims(DEFAULT, peers, asked=1.3) + _aims(LONGEST, peers, asked=1.3),
            notes=_notes(rising, {DEFAULT: by_gears, LONGEST: to_longest}, peers),
        )


@contextmanager
def ocr_rec(name: str, callers: int, **options: Any) -> Iterator[Scenario]:
    """Lines of text of different widths, one a call; only equal widths run together."""
    rising = lines(ROWS_PER_CALLER * callers)
    rows = _lines(dealt(rising, callers))
    with _load(rows, dimensions={("x", 2): 48}, **options) as model:
        peers = [
            _peer(SHAPES, rows, by_shape, PEER_LARGEST[SHAPES], callers),
            *_one_by_one(rows, callers),
        ]
        yield Scenario(
            name=name,
            title=f"ocr_rec, lines of different widths, {callers} coroutines",
            contenders=[dynbatch_coroutines(EQUAL, model, rows, callers), *peers],
            baselines=[SHAPES, peers[1].name],
            aims=_aims(EQUAL, peers, asked=0.97),
            notes=_notes(rising, {EQUAL: model}, peers),
        )


def _aims(contender: str, peers: Sequence[Contender], asked: float) -> list[Aim]:
    """The rate of the best of the peers, and its p99 of those that have as many callers."""
    names = [peer.name for peer in peers]
    most = max(peer.callers for peer in peers)
    equals = [peer.name for peer in peers if peer.callers == most]
    return [
        Aim(contender, names, asked),
        Aim(contender, equals, asked=1.0, metric="p99_us"),
    ]


def _notes(
    rising: Sequence[int], models: Mapping[str, dynbatch.Model], peers: Sequence[Contender]
) -> dict[str, Any]:
    quantiles = np.quantile(rising, (0.1, 0.5, 0.9, 1.0))
    return {
        "seconds_per_block": SECONDS_PER_BLOCK,
        "lengths": [int(value) for value in quantiles],
        "caps": {name: model.gears.cap for name, model in models.items()},
        "peer_batches": {p.name: PEER_LARGEST[p.name] for p in peers if p.name in PEER_LARGEST},
    }


def _load(rows: Rows, **options: Any) -> dynbatch.Model:
    options.setdefault("max_batch_size", LARGEST)
    return dynbatch.load(rows.path, outputs=[rows.output], **options)


def _example() -> dict[str, Any]:
    from real_models import real_models

    return real_models()["minilm"].with_length(EXAMPLE_LENGTH).feeds(EXAMPLE_ROWS)


def _sentences(lengths: Sequence[int]) -> Rows:
    """One sentence each, without padding."""
    from real_models import real_models

    rng = np.random.default_rng(7)
    feeds = []
    for length in lengths:
        words = rng.integers(1996, 29000, length - 2)
        ids = np.array([[101, *words, 102]], dtype=np.int64)
        feeds.append({"input_ids": ids, "attention_mask": np.ones_like(ids)})
    return Rows.of(existing(real_models()["minilm"].path), feeds, TOLERANCE)


def _lines(widths: Sequence[int]) -> Rows:
    from real_models import RealInput, image_feeds, real_models

    model = real_models()["ocr_rec"]
    rng = np.random.default_rng(7)
    feeds = []
    for width in widths:
        (name,) = model.inputs
        input_ = RealInput(np.dtype(np.float32), (3, 48, width))
        at_width = dataclasses.replace(model, inputs={name: input_})
        feeds.append(image_feeds(at_width, 1, rng))
    return Rows.of(existing(model.path), feeds, model.tolerance)


def _peer(name: str, rows: Rows, cut: Cut, largest: int, callers: int) -> Contender:
    model = session(rows.path, threads=1)
    requests = rows.requests()
    ran, elements = [0, 0], [0, 0]

    def measure(seconds: float) -> Block:
        async def main() -> Block:
            batcher = PaddingBatcher(
                model, rows.output, cut, max_batch_size=largest, workers=cpu_count()
            )
            try:
                return await from_coroutines(batcher.infer, itself, requests, callers, seconds)
            finally:
                batcher.close()
                ran[:] = map(operator.add, ran, batcher.batches())
                elements[:] = map(operator.add, elements, batcher.elements())

        return asyncio.run(main())

    return Contender(
        name, callers, measure, lambda: (ran[0], ran[1]), lambda: (elements[0], elements[1])
    )


def _ready(rows: Rows, size: int) -> Contender:
    """The ideal line: all rows sorted by length, in padded batches that stand ready."""
    workers = cpu_count()
    model = session(rows.path, threads=1)
    rising = sorted(rows.requests(), key=lambda request: _length(request.argument))
    requests = []
    for i in range(0, len(rising), size):
        batch = rising[i : i + size]
        feeds = joined_padded([request.argument for request in batch])
        expected = np.concatenate([request.expected for request in batch])
        requests.append(Request(PreformedBatch(model, feeds), expected, len(batch), rows.tolerance))
    measure = functools.partial(
        from_threads,
        PreformedBatch.run,
        lambda batch: batch.outputs()[rows.position],
        requests,
        workers,
    )
    return Contender(f"ready batches of {size}, sorted", workers, measure)


def _length(feeds: Mapping[str, Any]) -> int:
    return int(next(iter(feeds.values())).shape[1])


def _one_by_one(rows: Rows, callers: int) -> list[Contender]:
    """One session: the same coroutines through a pool of threads, and as many threads alone."""
    workers = cpu_count()
    run = functools.partial(session(rows.path, threads=1).run, [rows.output])
    output = operator.itemgetter(0)

    def measure(seconds: float) -> Block:
        async def main() -> Block:
            with ThreadPoolExecutor(workers) as pool:
                loop = asyncio.get_running_loop()

                def call(feeds: Any) -> Awaitable[Any]:
                    return loop.run_in_executor(pool, run, feeds)

                return await from_coroutines(call, output, rows.requests(), callers, seconds)

        return asyncio.run(main())

    alone = functools.partial(from_threads, run, output, rows.requests(), workers)
    return [
        Contender(f"one by one in {workers} threads", callers, measure),
        Contender(f"one by one from {workers} threads", workers, alone),
    ]
