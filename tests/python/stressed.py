"""A model under stress: threads, futures and coroutines at once, with random requests that are
checked by content, given up, poisoned, or in flight when the model closes.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import dynbatch
from gate import Array

SEED = int(os.environ.get("DYNBATCH_STRESS_SEED", random.SystemRandom().randrange(1_000_000)))
SCALE = float(os.environ.get("DYNBATCH_STRESS_SCALE", "1"))

Source = Callable[..., dynbatch.Model | dynbatch.Batcher]


@dataclass(frozen=True)
class Stress:
    """What goes wrong in a run. `requests` is the number that each participant makes."""

    name: str
    requests: int = 256
    options: dict[str, Any] = field(default_factory=dict)
    delays: bool = False
    gives_up: bool = False
    poison: bool = False
    close: str | None = None  # "draining" or "cancelling", while requests come in


@dataclass(frozen=True)
class Request:
    """Rows of ids, and the bytes of their answer; None if their run fails."""

    ids: Array
    expected: bytes | None


class Requests:
    """Requests of 0 to 40 rows, most of them of 1 to 3, no two rows alike."""

    def __init__(self, answer: Callable[[Array], Array], count: int = 600) -> None:
        generator = np.random.default_rng(SEED)
        sizes = [40 if i % 50 == 0 else i % 50 % 4 for i in range(count)]
        numbers = generator.choice(100**4, size=sum(sizes), replace=False)
        ids = np.stack([numbers // 100**k % 100 for k in range(4)], axis=1).astype(np.int64)
        answers = answer(ids)
        self.good = []
        self.poisoned = []
        start = 0
        for size in sizes:
            mine = slice(start, start + size)
            self.good.append(Request(ids[mine], answers[mine].tobytes()))
            if size > 0:
                wrong = ids[mine].copy()
                wrong[int(generator.integers(size)), 2] = 100_000
                self.poisoned.append(Request(wrong, None))
            start += size


class Participant:
    """One thread's requests, one after another or several at a time, and how they ended."""

    def __init__(self, stress: Stress, model: Any, requests: Requests, index: int) -> None:
        self.stress = stress
        self.model = model
        self.requests = requests
        self.index = index
        self.random = random.Random(SEED * 1000 + index)
        self.ended: Counter[str] = Counter()
        self.faults: list[str] = []

    def run(self) -> None:
        try:
            self.make_requests()
        except BaseException as error:
            self.faults.append(repr(error))

    def make_requests(self) -> None:
        raise NotImplementedError

    def next(self) -> Request:
        """The next request. One participant alone poisons, and waits for that request to end: so
        no more than one is in flight, and nobody else's may fail.
        """
        if self.stress.delays and self.random.random() < 0.01:
            self.model.max_queue_delay = self.random.choice([0, 0.0001, 0.0005])
        poisons = self.stress.poison and self.index == 0 and self.random.random() < 0.1
        self.ended["made"] += 1
        return self.random.choice(self.requests.poisoned if poisons else self.requests.good)

    def timeout(self, request: Request) -> float | None:
        if not self.stress.gives_up or request.expected is None or self.random.random() < 0.8:
            return None
        return self.random.random() * 0.001

    def gives_up(self) -> bool:
        return self.stress.gives_up and self.random.random() < 0.1

    def check(self, request: Request, outputs: dict[str, Array]) -> None:
        self.ended["answered"] += 1
        (answer,) = outputs.values()
        if request.expected is None:
            self.faults.append("an answer to a poisoned request")
        elif answer.tobytes() != request.expected:
            self.faults.append("a wrong answer")

    def fail(self, request: Request, error: BaseException, *, gave_up: bool) -> None:
        """Counts an end without an answer, which must have a reason."""
        self.ended[type(error).__name__] += 1
        if isinstance(error, dynbatch.ExecutionError):
            accepted = request.expected is None
        elif isinstance(error, (dynbatch.Closed, dynbatch.Cancelled)):
            accepted = gave_up or self.stress.close is not None
        else:
            accepted = gave_up and isinstance(
                error, (dynbatch.Timeout, asyncio.CancelledError, asyncio.TimeoutError)
            )
        if not accepted:
            self.faults.append(repr(error))


class Caller(Participant):
    """Blocking calls."""

    def make_requests(self) -> None:
        for _ in range(self.stress.requests):
            request = self.next()
            timeout = self.timeout(request)
            try:
                self.check(request, self.model.infer(request.ids, timeout=timeout))
            except dynbatch.Error as error:
                self.fail(request, error, gave_up=timeout is not None)
                if isinstance(error, dynbatch.Closed):
                    return


class Submitter(Participant):
    """Futures, read in any order; some are cancelled, some dropped, some have callbacks."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.pending: list[tuple[Request, dynbatch.Future, bool]] = []
        self.callbacks = 0
        self.called: Counter[int] = Counter()
        self.all_called = threading.Condition()

    def make_requests(self) -> None:
        for _ in range(self.stress.requests):
            try:
                self.submit(self.next())
            except dynbatch.QueueFull:
                self.ended["QueueFull"] += 1
            except dynbatch.Closed:
                break
            while len(self.pending) > self.random.randrange(24):
                self.end_one()
        while self.pending:
            self.end_one()
        with self.all_called:
            if not self.all_called.wait_for(lambda: len(self.called) == self.callbacks, 60):
                self.faults.append(f"{self.callbacks - len(self.called)} callbacks never came")
        if any(count > 1 for count in self.called.values()):
            self.faults.append("a callback came twice")

    def submit(self, request: Request) -> None:
        future = self.model.submit(request.ids)
        cancels = self.gives_up()
        if self.random.random() < 0.2:
            number = self.callbacks
            self.callbacks += 1
            future.add_done_callback(lambda _: self.call(number))
        if cancels:
            future.cancel()
        self.pending.append((request, future, cancels))

    def call(self, number: int) -> None:
        with self.all_called:
            self.called[number] += 1
            self.all_called.notify_all()

    def end_one(self) -> None:
        request, future, gave_up = self.pending.pop(self.random.randrange(len(self.pending)))
        if self.gives_up():
            self.ended["dropped"] += 1
            return
        try:
            self.check(request, future.result())
        except dynbatch.Error as error:
            self.fail(request, error, gave_up=gave_up)


class Loop(Participant):
    """An event loop with eight coroutines, some of whose tasks are cancelled."""

    def make_requests(self) -> None:
        asyncio.run(self.serve())

    async def serve(self) -> None:
        await asyncio.gather(*(self.serve_some(self.stress.requests // 8) for _ in range(8)))

    async def serve_some(self, count: int) -> None:
        for _ in range(count):
            request = self.next()
            timeout = self.timeout(request)
            call = asyncio.ensure_future(self.model.infer_async(request.ids, timeout=timeout))
            cancels = self.gives_up()
            if cancels:
                await asyncio.sleep(0)
                call.cancel()
            try:
                self.check(request, await call)
            except (dynbatch.Error, asyncio.CancelledError) as error:
                self.fail(request, error, gave_up=cancels or timeout is not None)
                if isinstance(error, dynbatch.Closed):
                    return


def run_stress(stress: Stress, source: Source, requests: Requests) -> Counter[str]:
    """Lets all participants loose on a model of `source`; at rest everything adds up."""
    model = source(batching="always", **stress.options)
    before = model.stats()
    kinds = (Caller, Submitter, Loop, Caller, Submitter, Caller)
    participants = [kind(stress, model, requests, index) for index, kind in enumerate(kinds)]
    threads = [threading.Thread(target=participant.run) for participant in participants]
    for thread in threads:
        thread.start()
    if stress.close is not None:
        while sum(each.ended["made"] for each in participants) < stress.requests:
            os.sched_yield()
        model.close(drain=stress.close == "draining")
    for thread in threads:
        thread.join()
    model.close()
    # The thread of the callbacks holds what it delivered until its round is over.
    while model.stats().python_threads > 0:
        os.sched_yield()
    ended = sum((participant.ended for participant in participants), Counter[str]())
    faults = [fault for participant in participants for fault in participant.faults]
    faults += unbalanced(model.stats(), ended, before.accepted)
    ended["accepted"] = model.stats().accepted
    assert not faults, f"{replay(stress)}: {faults[:5]} of {len(faults)}; {ended}; {model.stats()}"
    return ended


def unbalanced(stats: dynbatch.Stats, ended: Counter[str], accepted_before: int) -> Sequence[str]:
    """What does not add up at rest."""
    ends = stats.succeeded + stats.failed + stats.cancelled + stats.timed_out
    unseen = ended["made"] - ended["answered"] - ended["ExecutionError"]
    checks = {
        "in flight": stats.in_flight == 0 and stats.runs_under_way == 0,
        "unread bytes": stats.unread_bytes == 0,
        "accepted and ended": stats.accepted == ends,
        "accepted before": accepted_before == 0,
        "made and accepted": stats.accepted <= ended["made"],
        "answers": ended["answered"] <= stats.succeeded <= ended["answered"] + unseen,
        "failures": ended["ExecutionError"] <= stats.failed <= ended["ExecutionError"] + unseen,
    }
    return [f"{name} do not balance" for name, holds in checks.items() if not holds]


def replay(stress: Stress) -> str:
    return (
        f"DYNBATCH_STRESS_SEED={SEED} DYNBATCH_STRESS_SCALE={SCALE:g} "
        f"python -m pytest tests/python/test_stress.py -k {stress.name}"
    )
