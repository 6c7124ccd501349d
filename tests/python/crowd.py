"""Many requests at once, from threads, futures and coroutines, each with its expected answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dynbatch
from reference import assert_close

Feeds = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """Feeds, and what they give when they run alone."""

    feeds: Feeds
    expected: dict[str, Any]


Crowd = Callable[[dynbatch.Model, Sequence[Request], float], None]


def from_threads(model: dynbatch.Model, requests: Sequence[Request], tolerance: float) -> None:
    """Twelve threads, each with every twelfth request."""
    failures: list[BaseException] = []

    def serve(mine: Sequence[Request]) -> None:
        try:
            for request in mine:
                assert_close(model.infer(request.feeds), request.expected, tolerance=tolerance)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=serve, args=(requests[i::12],)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def from_futures(model: dynbatch.Model, requests: Sequence[Request], tolerance: float) -> None:
    """All submitted, then all read. The model must have been loaded with `on_full="wait"`."""
    futures = [model.submit(request.feeds) for request in requests]
    for future, request in zip(futures, requests, strict=True):
        assert_close(future.result(), request.expected, tolerance=tolerance)


def from_coroutines(model: dynbatch.Model, requests: Sequence[Request], tolerance: float) -> None:
    """All awaited at once."""

    async def serve() -> None:
        answers = await asyncio.gather(*(model.infer_async(each.feeds) for each in requests))
        for answer, request in zip(answers, requests, strict=True):
            assert_close(answer, request.expected, tolerance=tolerance)

    asyncio.run(serve())


CROWDS: tuple[Crowd, ...] = (from_threads, from_futures, from_coroutines)
