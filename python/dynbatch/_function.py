"""A Python function as what runs batches: its inputs and outputs, and its answers."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dynbatch import _core
from dynbatch._declarations import Input, Output
from dynbatch._errors import Closed, ExecutionError, InvalidArgument, InvalidInput, ModelError
from dynbatch._tensors import Array, Feeds

# What a row fails with, by row.
Failures = dict[int, BaseException]


class FunctionRun:
    """Calls a function for each batch, and turns what it returns into one array an output.

    A function returns an array; or a tuple of arrays, or a dict of them, for several outputs. Each
    may also be a list with one item a row, in which an exception fails the request of its row.
    """

    def __init__(self, function: Callable[..., Any], input_names: Sequence[str]) -> None:
        self._function = function
        self._input_names = tuple(input_names)
        self._by_keyword = _takes_keywords(function, self._input_names)
        self._specs: list[_core.TensorSpec] = []
        #: How the function returned its outputs last: "array", "tuple" or "dict".
        self.kind = "array"

    def learn(
        self, inputs: Sequence[Array], rows: int, declared: list[_core.TensorSpec]
    ) -> list[_core.TensorSpec]:
        """Calls the function once, to learn its outputs or to hold them against declared ones.

        Returns:
            What each run has to return.
        """
        self._specs = declared
        try:
            answer = self._call(inputs)
        except Exception as error:
            raise _execution_error(error) from error
        values = self._named(answer)
        if declared and len(values) != len(declared):
            names = ", ".join(spec.name for spec in declared)
            raise ModelError(
                f"outputs of the function: expected {len(declared)} ({names}), got {len(values)}"
            )
        expected: list[_core.TensorSpec | None] = [*declared] or [None] * len(values)
        learnt = [
            _learnt(name, value, rows, spec)
            for (name, value), spec in zip(values.items(), expected, strict=True)
        ]
        for got, spec in zip(learnt, declared, strict=False):
            _check_fits(got, spec)
        self._specs = declared or learnt
        return self._specs

    def __call__(
        self, inputs: Sequence[Array], outputs: Sequence[Array | None]
    ) -> list[Array] | tuple[list[Array], Failures]:
        """Runs one batch; the core copies the arrays before they can change."""
        values = list(self._named(self._call(inputs)).values())
        failures: Failures = {}
        arrays = [
            _array(value, spec, failures) for value, spec in zip(values, self._specs, strict=False)
        ]
        # A wrong number of outputs, or of rows, is told by the core.
        arrays += [np.asarray(value) for value in values[len(arrays) :]]
        return (arrays, failures) if failures else arrays

    def _call(self, inputs: Sequence[Array]) -> Any:
        if self._by_keyword:
            return self._function(**dict(zip(self._input_names, inputs, strict=True)))
        return self._function(*inputs)

    def _named(self, answer: Any) -> dict[str, Any]:
        if isinstance(answer, Mapping):
            self.kind = "dict"
            got = ", ".join(map(repr, answer)) or "none"
            if not all(isinstance(name, str) for name in answer):
                raise ModelError(f"outputs of the function: expected str as keys, got {got}")
            names = [spec.name for spec in self._specs] or list(answer)
            for name in names:
                if name not in answer:
                    raise ModelError(f"the function returned no output {name!r}: got {got}")
            return {name: answer[name] for name in names}
        if isinstance(answer, tuple):
            self.kind = "tuple"
            return {f"output_{i}": value for i, value in enumerate(answer)}
        self.kind = "array"
        return {"output": answer}


class WeakRun:
    """Calls a run that its batcher keeps alive. The core's threads hold only this, so that a
    function may refer to its own batcher and both can still be collected.
    """

    def __init__(self, run: FunctionRun) -> None:
        self._run = weakref.ref(run)

    def __call__(self, inputs: Sequence[Array], outputs: Sequence[Array | None]) -> Any:
        """As the run itself."""
        run = self._run()
        if run is None:
            raise Closed("the batcher was dropped")
        return run(inputs, outputs)


def input_names_of(function: Callable[..., Any], count: int) -> list[str]:
    """The names of the function's first positional parameters."""
    names = [
        parameter.name
        for parameter in _parameters(function)
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]
    return names[:count] if len(names) >= count else [f"input_{i}" for i in range(count)]


def example_arrays(
    function: Callable[..., Any], feeds: Feeds, declared: Sequence[str]
) -> dict[str, Array]:
    """Feeds as arrays by input name, in the order in which the function takes them: that of the
    names that were declared, with one more at most where the function goes by position.
    """
    if not isinstance(feeds, Mapping):
        feeds = {(declared or input_names_of(function, 1))[0]: feeds}
    strange = [name for name in feeds if not isinstance(name, str)]
    if strange:
        raise InvalidInput(f"feeds: expected input names as keys, got {strange[0]!r}")
    missing = [name for name in declared if name not in feeds]
    if missing:
        raise InvalidInput(f"input {missing[0]!r} is missing: got {', '.join(feeds) or 'none'}")
    others = [name for name in feeds if name not in declared]
    if len(others) > 1 and not _takes_keywords(function, list(feeds)):
        raise InvalidArgument(
            f"inputs: {', '.join(others)} are no parameters of the function, and feeds have no "
            "order: give inputs= or example= in the order of the function"
        )
    return {name: np.asarray(feeds[name]) for name in (*declared, *others)}


def trial_arrays(
    arrays: Mapping[str, Array], inputs: Sequence[_core.TensorSpec], rows: int
) -> list[Array]:
    """Copies of this many rows, repeated where there are fewer: a function may write into them."""
    return [
        array.copy() if spec.shared else array[np.arange(rows) % len(array)]
        for array, spec in zip(arrays.values(), inputs, strict=True)
    ]


def made_up_arrays(inputs: Mapping[str, Input]) -> dict[str, Array]:
    """One row of each declared input: normal floats, and integers and booleans from {0, 1}."""
    generator = np.random.default_rng(0)
    arrays = {}
    for name, declared in inputs.items():
        if declared.dtype is None or declared.shape is None:
            raise InvalidArgument(
                f"inputs[{name!r}]: without an example both dtype and shape are needed"
            )
        shape = declared.shape if declared.shared else (1, *declared.shape)
        dtype = np.dtype(declared.dtype)
        if dtype.kind in "iub":
            arrays[name] = generator.integers(0, 2, shape).astype(dtype)
        else:
            arrays[name] = generator.standard_normal(shape).astype(dtype)
    return arrays


def input_specs(
    arrays: Mapping[str, Array], inputs: Mapping[str, Input] | None
) -> tuple[list[_core.TensorSpec], int]:
    """Specs like the example's arrays, and the number of its rows."""
    specs = []
    rows: dict[str, int] = {}
    for name, array in arrays.items():
        declared = (inputs or {}).get(name, Input())
        shared = bool(declared.shared) or (array.ndim == 0 and declared.shared is None)
        if not shared:
            if array.ndim == 0 or array.shape[0] == 0:
                raise InvalidInput(
                    f"input {name!r}: expected an example of at least one row, got the shape "
                    f"{array.shape}"
                )
            rows[name] = array.shape[0]
        row_shape = array.shape if shared else array.shape[1:]
        _check_declared(name, declared, array.dtype, row_shape)
        specs.append(_core.TensorSpec(name, array.dtype, list(row_shape), shared))
    if not rows:
        raise ModelError(f"no input has a batch axis: {', '.join(arrays) or 'there is none'}")
    if len(set(rows.values())) > 1:
        counts = ", ".join(f"{name!r}: {count}" for name, count in rows.items())
        raise InvalidInput(f"inputs: expected the same number of rows, got {counts}")
    return specs, next(iter(rows.values()))


def output_specs(outputs: Mapping[str, Output]) -> list[_core.TensorSpec]:
    """Specs of declared outputs."""
    return [
        _core.TensorSpec(
            name,
            np.dtype(declared.dtype),
            [-1 if size is None else size for size in declared.shape or ()],
        )
        for name, declared in outputs.items()
    ]


def _check_declared(
    name: str, declared: Input, dtype: np.dtype[Any], row_shape: tuple[int, ...]
) -> None:
    if declared.dtype is not None and np.dtype(declared.dtype) != dtype:
        raise InvalidInput(f"input {name!r}: expected {np.dtype(declared.dtype)}, got {dtype}")
    if declared.shape is not None and tuple(declared.shape) != row_shape:
        raise InvalidInput(
            f"input {name!r}: expected rows of the shape {declared.shape}, got {row_shape}"
        )


def _learnt(
    name: str, value: Any, rows: int, declared: _core.TensorSpec | None
) -> _core.TensorSpec:
    """The spec of an output like this one."""
    value = _listed(value)
    for item in value if isinstance(value, list) else ():
        if isinstance(item, BaseException):
            raise _execution_error(item) from item
    array = np.asarray(value) if declared is None else _array(value, declared, {})
    if array.ndim == 0 or array.shape[0] != rows:
        raise ModelError(
            f"output {name!r} of the function: expected {rows} rows along axis 0, as many as its "
            f"inputs had, got the shape {array.shape}"
        )
    return _core.TensorSpec(name, array.dtype, list(array.shape[1:]))


def _check_fits(got: _core.TensorSpec, declared: _core.TensorSpec) -> None:
    pairs = zip(got.row_shape, declared.row_shape, strict=False)
    if (
        got.dtype != declared.dtype
        or len(got.row_shape) != len(declared.row_shape)
        or any(wanted not in (-1, size) for size, wanted in pairs)
    ):
        raise ModelError(
            f"output {declared.name!r} of the function: expected {declared.dtype} rows of the "
            f"shape {declared.row_shape} (-1: any), got {got.dtype} rows of {got.row_shape}"
        )


def _execution_error(error: BaseException) -> ExecutionError:
    """As runs fail with what the function raises."""
    return ExecutionError(f"{type(error).__name__}: {error}")


def _array(value: Any, spec: _core.TensorSpec, failures: Failures) -> Array:
    value = _listed(value)
    if not isinstance(value, list):
        return np.asarray(value)
    bad = {i: item for i, item in enumerate(value) if isinstance(item, BaseException)}
    if not bad:
        return np.asarray(value, dtype=_dtype_of_rows(value, spec))
    failures.update(bad)
    good = [np.asarray(item) for i, item in enumerate(value) if i not in bad]
    shape = good[0].shape if good else tuple(max(0, size) for size in spec.row_shape)
    nothing = np.zeros(shape, good[0].dtype if good else spec.dtype)
    rows = [nothing if i in bad else np.asarray(item) for i, item in enumerate(value)]
    return np.asarray(rows, dtype=_dtype_of_rows(rows, spec))


def _listed(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) and value.dtype == object else value


def _dtype_of_rows(rows: list[Any], spec: _core.TensorSpec) -> np.dtype[Any] | None:
    # Plain numbers have no type of their own; arrays keep theirs, so that a wrong one is told.
    return spec.dtype if all(isinstance(row, (bool, int, float)) for row in rows) else None


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return []  # built-in functions have no signature


def _takes_keywords(function: Callable[..., Any], names: Sequence[str]) -> bool:
    taken = {
        parameter.name
        for parameter in _parameters(function)
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }
    return all(name in taken for name in names)
