"""What a fork leaves behind: objects without threads, with locks that may be held for ever."""

from __future__ import annotations

import os

from dynbatch._errors import Closed

_generation = 0


class Process:
    """The process in which an object was made."""

    __slots__ = ("_made_in",)

    def __init__(self) -> None:
        self._made_in = _generation

    @property
    def forked(self) -> bool:
        """Whether this process is a fork of that one."""
        return self._made_in != _generation

    def refuse_fork(self) -> None:
        """Raises Closed in a fork; asked before a lock of the object is taken."""
        if self.forked:
            raise Closed("the model was loaded before this process was forked: load after fork")


def _after_fork_in_child() -> None:
    global _generation
    _generation += 1


os.register_at_fork(after_in_child=_after_fork_in_child)
