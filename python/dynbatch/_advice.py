"""Which gears earn their place: plain advice from measured times."""

from __future__ import annotations

from collections.abc import Sequence

# Times that differ by less are taken to be equal.
WORTHWHILE = 1.03


def batch_advice(sizes: Sequence[int], seconds: Sequence[float]) -> list[str]:
    """What to say about each batch gear, in their order.

    A gear earns its place if it is cheaper than what can be done without it: runs of smaller gears
    one after the other, or one run of the next larger one, partly filled.

    Args:
        sizes: Rows of each gear.
        seconds: Time of one run of each; 0: not measured.
    """
    times = dict(zip(sizes, seconds, strict=True))
    return [_advice(size, times) for size in sizes]


def _advice(size: int, times: dict[int, float]) -> str:
    own = times[size]
    if own == 0:
        return "not measured"
    known = {other: time for other, time in times.items() if time > 0}
    larger = [other for other in known if other > size]
    if larger and known[min(larger)] <= own * WORTHWHILE:
        return f"drop: {min(larger)} takes no longer"
    smaller = [other for other in known if other < size]
    if not smaller:
        return "keep: the smallest" if larger else "keep"
    runs, other = min(_repeated(size, other, known[other]) for other in smaller)
    if runs <= own * WORTHWHILE:
        count = -(-size // other)
        return f"drop: {count} runs of {other} take no longer"
    return f"keep: {runs / own:.2f} x as fast as runs of {other}"


def _repeated(size: int, other: int, seconds: float) -> tuple[float, int]:
    """The time of so many rows in runs of a smaller gear, and that gear."""
    return -(-size // other) * seconds, other
