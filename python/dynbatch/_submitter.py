"""The ways to make requests that models and functions have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, NoReturn

from dynbatch import _core, _lifetime
from dynbatch._future import Future
from dynbatch._options import delay, positive
from dynbatch._runtime import Runtime
from dynbatch._stats import GearTable, MemoryPlan, Stats
from dynbatch._tensors import Feeds, Outputs, copied
from dynbatch._warn import calling_frame

if TYPE_CHECKING:
    from typing_extensions import Self


class Submitter(ABC):
    """Base of `Model` and `Batcher`: requests, figures and the end.

    All methods may be called from any thread. It owns threads, so use it in a `with` statement or
    call `close()`; what is dropped without that is closed without draining.
    """

    def __init__(self, on_full: _core.OnFull | None) -> None:
        self._runtime: Runtime | None = None
        self._closed = False
        self._full_to_callers = on_full or _core.OnFull.wait
        self._full_to_submit = on_full or _core.OnFull.raise_

    @abstractmethod
    def _start(self, feeds: Feeds | None, caller: FrameType | None = None) -> Runtime:
        """The runtime, made now if need be: for a request with `feeds`, or without any. It warns
        at `caller`; None: who called the package on this thread.
        """

    def _adopt(self, runtime: Runtime) -> Runtime:
        _lifetime.close_with(self, runtime)
        self._runtime = runtime
        return runtime

    def infer(self, feeds: Feeds, *, timeout: float | None = None) -> Outputs:
        """Runs one request and waits for its answer.

        A call that finds nobody else runs at once, on this thread where the execution allows it.
        Otherwise its rows share a batch with those of other callers.

        Args:
            feeds: Arrays by input name, each with the batch axis (first, unless it is declared to
                be elsewhere) and the same number of rows; shared inputs without it. Masks and
                lengths that the runtime can make may be left out, and a model with one input beside
                them also takes the bare array. Any number of rows: none gives empty arrays, more
                than the largest batch are cut and joined. Nothing reads the arrays after the call.
            timeout: The request's deadline in seconds from now; None: none.

        Returns:
            Arrays by output name, each with the batch axis first. They are the caller's own.

        Raises:
            InvalidInput: The feeds do not fit the model.
            QueueFull: The queue has no room, with `on_full="raise"`.
            Timeout: The deadline passed.
            Cancelled: `close(drain=False)` gave the request up.
            ExecutionError: The run failed for this request, also alone.
            Closed: The model is closed.
        """
        runtime = self._runtime or self._start(feeds)
        return runtime.core.infer(feeds, self._full_to_callers, timeout)

    def submit(self, feeds: Feeds) -> Future:
        """Queues one request and returns at once.

        Args:
            feeds: As for `infer`. They are copied before the call returns.

        Returns:
            A future of the outputs by name.

        Raises:
            InvalidInput: The feeds do not fit the model.
            QueueFull: The queue has no room, unless `on_full="wait"`.
            Closed: The model is closed.
        """
        runtime = self._runtime or self._start(feeds)
        return Future(runtime.core.submit(feeds, self._full_to_submit), runtime.callbacks)

    async def infer_async(self, feeds: Feeds, *, timeout: float | None = None) -> Outputs:
        """Awaits one request on the running event loop; many at once share batches.

        Args and returns as `infer`. Waits where the queue is full. Cancelling the task cancels the
        request.

        Raises:
            asyncio.CancelledError: The awaiting task was cancelled.
            Exception: As `infer` raises, except QueueFull.
        """
        runtime = self._runtime
        if runtime is None:
            feeds = copied(feeds)  # the caller's arrays may change while it gets ready
            runtime = await self._start_aside(feeds)
        if timeout is not None:
            return await runtime.ports.infer(feeds, timeout)
        answer = runtime.submit_on_loop(feeds)
        if answer:
            return await answer
        return await runtime.ports.infer(feeds, None, full=answer is None)

    def map(self, feeds: Iterable[Feeds], *, look_ahead: int | None = None) -> Iterator[Outputs]:
        """Answers of many requests, in their order.

        Args:
            feeds: One item a request, as for `infer`. Taken as answers are taken, so it may be
                endless.
            look_ahead: Requests that are under way at most; None: enough to fill twice the batches
                that may run at once.

        Raises:
            Exception: As `infer` raises, at the place of the request that failed. Requests behind
                it are cancelled.
            InvalidArgument: `look_ahead` is out of range.
        """
        return self._answers(feeds, positive("look_ahead", look_ahead))

    def _answers(self, feeds: Iterable[Feeds], look_ahead: int | None) -> Iterator[Outputs]:
        pending: deque[Future] = deque()
        try:
            for item in feeds:
                runtime = self._runtime or self._start(item)
                if look_ahead is None:
                    look_ahead = 2 * runtime.core.gears.cap * runtime.core.stats().workers
                while len(pending) >= look_ahead:
                    yield pending.popleft().result()
                ticket = runtime.core.try_submit(item)
                if ticket is None:
                    arrays = runtime.core.arrays(item)
                    # The oldest answer is awaited anyway, and its rows are room by then.
                    if pending:
                        yield pending.popleft().result()
                    ticket = runtime.core.submit(arrays, _core.OnFull.wait)
                pending.append(Future(ticket, runtime.callbacks))
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()

    @property
    def gears(self) -> GearTable:
        """The gears with their measured times, and the largest batch that is formed."""
        return GearTable._of((self._runtime or self._start(None)).core.gears)

    @property
    def max_queue_delay(self) -> float:
        """Seconds that the first row of a batch may wait for company. May be changed any time."""
        return (self._runtime or self._start(None)).core.max_queue_delay

    @max_queue_delay.setter
    def max_queue_delay(self, seconds: float) -> None:
        (self._runtime or self._start(None)).core.max_queue_delay = delay(seconds)

    def stats(self) -> Stats:
        """What has been done so far: a snapshot. Takes the lock that each batch takes, briefly.

        A run is counted before its requests are answered; how they ended may follow a moment after.
        """
        runtime = self._runtime or self._start(None)
        return Stats._of(
            runtime.core,
            execution=runtime.execution,
            python_threads=runtime.python_threads,
        )

    def memory_plan(self) -> MemoryPlan:
        """The memory for batches and their outputs, in bytes, for each gear and in all."""
        return MemoryPlan._of((self._runtime or self._start(None)).core.memory_plan())

    def close(self, drain: bool = True) -> None:
        """Refuses new requests and ends the accepted ones; may be called again.

        Args:
            drain: True: waits until all accepted requests are done. False: cancels those that wait,
                asks the running batch to end early, and returns when no run goes on.

        Callbacks may still run after it has returned.
        """
        self._closed = True
        if self._runtime is not None:
            self._runtime.close(drain)

    @property
    def closed(self) -> bool:
        """Whether `close()` was called, or this process is a fork of the one that loaded."""
        return self._closed or (self._runtime is not None and self._runtime.core.closed)

    def __reduce__(self) -> NoReturn:
        """Refuses copies and pickles: a copy would die with the original."""
        raise TypeError(
            f"a {type(self).__name__} owns threads and cannot be copied or pickled: share it "
            "between threads, and load it again in another process"
        )

    async def _start_aside(self, feeds: Feeds) -> Runtime:
        import asyncio

        # Warming up takes long, and would stop the loop.
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self._start, feeds, calling_frame())

    def __enter__(self) -> Self:
        """Closes at the end of the `with` statement."""
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drains after success; gives everything up after an exception."""
        self.close(drain=exception_type is None)
