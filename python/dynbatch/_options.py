"""Options as users write them, as the core takes them."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from dynbatch import _core
from dynbatch._errors import InvalidArgument

if TYPE_CHECKING:
    from dynbatch._tensors import Feeds

DEFAULT_MAX_BATCH_SIZE = 32
DEFAULT_QUEUE_BYTES = 64 << 20

_T = TypeVar("_T")

_BATCHING = {
    "auto": _core.Batching.automatic,
    "always": _core.Batching.always,
    "off": _core.Batching.off,
}
_FILL: dict[object, _core.Fill] = {
    "auto": _core.Fill.automatic,
    True: _core.Fill.yes,
    False: _core.Fill.no,
}
_ON_FULL = {"wait": _core.OnFull.wait, "raise": _core.OnFull.raise_}


def one_of(name: str, value: Any, choices: Mapping[Any, _T]) -> _T:
    """The choice behind `value`, or InvalidArgument that lists the choices."""
    try:
        return choices[value]
    except (KeyError, TypeError):
        expected = ", ".join(repr(choice) for choice in choices)
        raise InvalidArgument(f"{name}: expected one of {expected}, got {value!r}") from None


def positive(name: str, value: Any) -> int | None:
    """An int of at least 1, or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise InvalidArgument(f"{name}: expected an int of at least 1, got {value!r}")
    number = int(value)
    if number >= 1 << 63:
        raise InvalidArgument(f"{name}: expected less than 2**63, got {number}")
    return number


def required(name: str, value: Any) -> int:
    """An int of at least 1."""
    number = positive(name, value)
    if number is None:
        raise InvalidArgument(f"{name}: expected an int of at least 1, got None")
    return number


def listed(name: str, value: Any, of: str) -> list[Any]:
    """The items of a list, or of what is like one; a string or a mapping is not."""
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise InvalidArgument(f"{name}: expected a list of {of}, got {value!r}")
    return list(value)


def mapped(name: str, value: Any, to: str) -> Mapping[Any, Any]:
    """A mapping; None is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"{name}: expected a mapping to {to}, got {value!r}")
    return value


def gears_of(value: Any) -> list[int]:
    """At least one batch size."""
    sizes = [positive("gears", gear) for gear in listed("gears", value, "batch sizes")]
    if not sizes:
        raise InvalidArgument("gears: expected at least one batch size, got none")
    return [size for size in sizes if size is not None]


def timeout_of(value: Any) -> float | None:
    """Seconds, which may be over or endless; or None."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or math.isnan(value):
        raise InvalidArgument(f"timeout: expected seconds, got {value!r}")
    return float(value)


def on_full_of(value: str | None) -> _core.OnFull | None:
    """None stands for each method's own default."""
    return None if value is None else one_of("on_full", value, _ON_FULL)


@dataclass(frozen=True)
class Batching:
    """The options that models and functions have in common; named as in `dynbatch.load`."""

    max_batch_size: int
    gears: Sequence[int] | None
    fill: str | bool
    workers: int | None
    max_queue_delay: float
    queue_capacity: int | None
    queue_bytes: int
    batching: str
    verify: bool | Feeds
    row_tolerance: float | None

    def native(self, *, own_workers: bool) -> _core.BatchingOptions:
        """Checks all of them, and gives them to the core."""
        options = _core.BatchingOptions()
        options.gears = [] if self.gears is None else gears_of(self.gears)
        max_batch_size = positive("max_batch_size", self.max_batch_size)
        # The default is no wish: gears, or a batch that the model fixes, decide first.
        if max_batch_size != DEFAULT_MAX_BATCH_SIZE:
            options.max_batch_size = max_batch_size
        options.fill = one_of("fill", self.fill, _FILL)
        options.batching = one_of("batching", self.batching, _BATCHING)
        options.max_queue_delay = delay(self.max_queue_delay)
        options.workers = positive("workers", self.workers)
        options.own_workers = own_workers
        options.queue_capacity = positive("queue_capacity", self.queue_capacity)
        queue_bytes = positive("queue_bytes", self.queue_bytes)
        if queue_bytes != DEFAULT_QUEUE_BYTES:
            options.queue_bytes = queue_bytes
        options.verify = self.verify is not False
        if self.row_tolerance is not None:
            options.row_tolerance = _tolerance(self.row_tolerance)
        return options

    @property
    def examples(self) -> Feeds | None:
        """Feeds for warm-up and probe, if `verify` is that."""
        return None if isinstance(self.verify, bool) else self.verify


def delay(seconds: float) -> float:
    """The seconds of max_queue_delay, or InvalidArgument."""
    if isinstance(seconds, bool) or not isinstance(seconds, numbers.Real):
        raise InvalidArgument(f"max_queue_delay: expected seconds, got {seconds!r}")
    if not (math.isfinite(seconds) and 0 <= seconds <= 10):
        raise InvalidArgument(
            f"max_queue_delay: expected 0 to 10 seconds, got {seconds!r}; it is in seconds, not in "
            "milliseconds"
        )
    return float(seconds)


def _tolerance(tolerance: float) -> float:
    if isinstance(tolerance, bool) or not isinstance(tolerance, numbers.Real) or not tolerance >= 0:
        raise InvalidArgument(f"row_tolerance: expected a number of at least 0, got {tolerance!r}")
    return float(tolerance)
