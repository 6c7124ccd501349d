"""What can go wrong, as exceptions: one class for each reason, all below `Error`.

The extension raises these classes; they are written here so that each can also be the built-in
exception that callers expect.
"""
# ruff: noqa: N818  (the names say what happened; most of them are no faults)

from __future__ import annotations

import concurrent.futures

__all__ = [
    "Cancelled",
    "Closed",
    "CompileError",
    "Error",
    "ExecutionError",
    "InvalidArgument",
    "InvalidInput",
    "ModelError",
    "QueueFull",
    "RowsMixWarning",
    "Timeout",
]


class Error(Exception):
    """Base class of everything that dynbatch raises on purpose."""


class InvalidInput(Error, ValueError):
    """A request does not fit the model. It was never queued, and its neighbours are unharmed."""


class InvalidArgument(Error, ValueError):
    """An option is out of range, or does not go with another one."""


class CompileError(InvalidArgument):
    """An option of `compile` is wrong, or does not fit the model. Also a ValueError.

    Attributes:
        code: The code that ATC gives to what is wrong, such as "E10035".
        option: The option's name, without dashes.
        given: What was given, as ATC's grammar writes it.
        allowed: What is allowed.
    """

    def __init__(
        self, message: str, code: str = "", option: str = "", given: str = "", allowed: str = ""
    ) -> None:
        """Made by `compile`."""
        super().__init__(message, code, option, given, allowed)  # pickle makes it of the same
        self.code = code
        self.option = option
        self.given = given
        self.allowed = allowed

    def __str__(self) -> str:
        return str(self.args[0])


class QueueFull(Error):
    """The queue has no room, and the caller asked not to wait. The request was never queued."""


class Closed(Error):
    """The model is closed, or was loaded before this process was forked."""


class Timeout(Error, TimeoutError):
    """A request's deadline passed before its answer was there, or a wait for it ended."""


class Cancelled(Error, concurrent.futures.CancelledError):
    """A request was given up by its caller, or by `close(drain=False)`."""


class ExecutionError(Error):
    """The run of a request failed, also alone. `__cause__` is the function's own exception."""


class ModelError(Error):
    """A model cannot be loaded, or not batched as asked. The message names the way out."""


class ModelNotFound(ModelError, FileNotFoundError):
    """The model's file does not exist. Made as an OSError is: of errno, reason and file name."""


class RowsMixWarning(UserWarning):
    """Requests are not merged, since a row's answer would depend on the rows beside it."""


# ModelNotFound is no public name, and pickle looks it up where it is.
for _class in map(globals().__getitem__, __all__):
    _class.__module__ = "dynbatch"
