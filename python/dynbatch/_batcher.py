"""`Batcher` and `@batched`: any Python function behind the same queue as a model."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Mapping, Sequence
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from dynbatch import _core
from dynbatch._declarations import Input, Output, declared_for_function
from dynbatch._errors import Closed, Error, ExecutionError, InvalidArgument
from dynbatch._fork import Process
from dynbatch._function import (
    FunctionRun,
    WeakRun,
    example_arrays,
    input_specs,
    made_up_arrays,
    output_specs,
    trial_arrays,
)
from dynbatch._model import warn_if_rows_mix
from dynbatch._options import (
    DEFAULT_MAX_BATCH_SIZE,
    DEFAULT_QUEUE_BYTES,
    Batching,
    on_full_of,
)
from dynbatch._runtime import Runtime
from dynbatch._submitter import Submitter
from dynbatch._tensors import Array, Feeds, Outputs

if TYPE_CHECKING:
    from typing_extensions import Self

P = ParamSpec("P")
R = TypeVar("R")


class Batcher(Submitter):
    """A Python function that batches concurrent callers: PyTorch, scikit-learn, plain NumPy.

    The function takes arrays with the batch axis first, valid until it returns, and returns an
    array, or a tuple or dict of arrays, with as many rows. An output may also be a list with one
    item a row; an exception in it fails the request of that row alone. The function is called on
    `workers` threads of its own, never on a caller's; calling its own batcher there raises, except
    `submit`.

    All methods may be called from any thread.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        inputs: Mapping[str, Input] | None = None,
        outputs: Mapping[str, Output] | None = None,
        example: Feeds | None = None,
        max_batch_size: int = DEFAULT_MAX_BATCH_SIZE,
        gears: Sequence[int] | None = None,
        fill: str | bool = "auto",
        workers: int | None = 1,
        max_queue_delay: float = 0.0,
        queue_capacity: int | None = None,
        queue_bytes: int = DEFAULT_QUEUE_BYTES,
        on_full: str | None = None,
        batching: str = "auto",
        verify: bool = True,
        row_tolerance: float | None = None,
        rerun_on_failure: bool = False,
    ) -> None:
        """Gets the function ready to batch, at once with an example or declared inputs, else with
        the first request, which then serves as the example: its dtypes and shapes bind all later
        ones. That calls it some times for each gear, to measure it and to check that rows are
        independent.

        Args:
            function: What runs a batch. Its inputs are passed by name where its parameters have
                their names, else by position.
            inputs: `Input(dtype=, shape=, shared=)` by name, in the order of the function.
            outputs: `Output(dtype=, shape=)` by name, in the order of the function unless it
                returns a dict; one call checks them. None: learnt from that call.
            example: Feeds of at least one row, in the order of the function, from which inputs and
                outputs are learnt.
            max_batch_size: As in `load`, and so are the options below, except:
            gears: Batch sizes that are prepared and measured.
            fill: Whether a batch must have exactly the size of a gear.
            workers: Threads that call the function.
            max_queue_delay: Seconds that the first row of a batch may wait for company.
            queue_capacity: Rows that may wait.
            queue_bytes: Bytes of the memory in which rows wait and run.
            on_full: "wait", "raise", or None for each method's own default.
            batching: "auto", "always" or "off".
            verify: Whether a short probe checks that rows are independent.
            row_tolerance: The difference that the probe accepts.
            rerun_on_failure: Whether rows of a failed call are given to the function again, in
                halves, until the guilty request is alone. Such a function must not write into its
                inputs.

        Raises:
            ModelError: The function cannot be batched as asked.
            ExecutionError: The function failed for the example.
            InvalidArgument: An option is out of range or does not go with another one.
        """
        super().__init__(on_full_of(on_full))
        if not callable(function):
            raise InvalidArgument(f"function: expected a callable, got {function!r}")
        if inspect.iscoroutinefunction(function):
            raise InvalidArgument(
                "function: expected one that returns its answer, got a coroutine function"
            )
        self._function = function
        self._inputs = declared_for_function("inputs", inputs, Input)
        named_by_example = example if isinstance(example, Mapping) else ()
        self._order = list(dict.fromkeys([*self._inputs, *named_by_example]))
        self._outputs = declared_for_function("outputs", outputs, Output)
        self._reruns = rerun_on_failure
        self._options = Batching(
            max_batch_size=max_batch_size,
            gears=gears,
            fill=fill,
            workers=1 if workers is None else workers,
            max_queue_delay=max_queue_delay,
            queue_capacity=queue_capacity,
            queue_bytes=queue_bytes,
            batching=batching,
            verify=verify,
            row_tolerance=row_tolerance,
        )
        self._options.native(own_workers=False)  # tells wrong options now
        self._process = Process()
        self._lock = threading.Lock()
        self._building: int | None = None  # the thread that gets the function ready
        self._run: FunctionRun | None = None
        if example is not None:
            self._start(example)
        elif inputs and all(each.shape is not None for each in inputs.values()):
            self._start(made_up_arrays(self._inputs))

    def _refuse_endless_start(self) -> None:
        if self._building == threading.get_ident():
            raise ExecutionError("the function waits for its own batcher: the wait would never end")

    def _start(self, feeds: Feeds | None, caller: FrameType | None = None) -> Runtime:
        self._process.refuse_fork()
        self._refuse_endless_start()
        with self._lock:
            if self._runtime is not None:
                return self._runtime
            if self._closed:
                raise Closed("the batcher is closed")
            if feeds is None:
                raise Error(
                    "the function has not been called yet, so that its inputs are unknown: give "
                    "example= or inputs="
                )
            arrays = example_arrays(self._function, feeds, self._order)
            runtime = Runtime.python(functools.partial(self._make, arrays))
            try:
                warn_if_rows_mix(runtime.core, caller)
                self._adopt(runtime)
                if self._closed:  # meanwhile, while it was not there to be closed
                    raise Closed("the batcher was closed while it got ready")
                return runtime
            except BaseException:  # warnings may be errors, and Ctrl-C comes at any time
                runtime.close(drain=False)
                raise

    async def _start_aside(self, feeds: Feeds) -> Runtime:
        self._refuse_endless_start()  # here, since another thread gets it ready
        return await super()._start_aside(feeds)

    @property
    def closed(self) -> bool:
        """As `Submitter.closed`, also before the first call."""
        return self._process.forked or super().closed

    def _make(self, arrays: dict[str, Array]) -> _core.Batcher:
        self._building = threading.get_ident()
        try:
            inputs, rows = input_specs(arrays, self._inputs)
            options = self._options.native(own_workers=False)
            if options.fill is _core.Fill.yes:
                rows = min(options.gears, default=1)
            else:
                rows = min(rows, max(options.gears, default=self._options.max_batch_size))
            run = FunctionRun(self._function, list(arrays))
            declared = output_specs(self._outputs or {})
            outputs = run.learn(trial_arrays(arrays, inputs, rows), rows, declared)
            self._run = run
            executor = _core.make_python_executor(
                _core.ModelSpec(inputs, outputs), WeakRun(run), None, self._reruns, True
            )
            return _core.Batcher(executor, options, arrays)
        finally:
            self._building = None

    def __repr__(self) -> str:
        name = getattr(self._function, "__qualname__", repr(self._function))
        state = "closed" if self.closed else "ready" if self._runtime else "not called yet"
        return f"<dynbatch.Batcher of {name}: {state}>"


class BatchedFunction(Generic[P, R]):
    """A function whose concurrent calls share batches. Made by `@batched`.

    It is called as the function itself, with arrays that have the batch axis first, from any
    thread, and returns what the function would return for these rows alone; a list of rows comes
    back as an array, and any tuple as a plain one. The first call, or the example, settles which
    parameters with a default are inputs.
    """

    def __init__(self, function: Callable[P, R], batcher: Batcher) -> None:
        """Not for users: use `@batched`."""
        functools.update_wrapper(self, function)
        self._signature = inspect.signature(function)
        self._batcher = batcher

    @property
    def batcher(self) -> Batcher:
        """The batcher behind it: `submit`, `infer_async`, `stats` and the rest, by input name."""
        return self._batcher

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Runs the rows of one call, together with those of others; see `Batcher.infer`."""
        feeds = cast(Feeds, self._signature.bind(*args, **kwargs).arguments)
        return self._restored(self._batcher.infer(feeds))

    def close(self, drain: bool = True) -> None:
        """As `Batcher.close`."""
        self._batcher.close(drain)

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
        self._batcher.__exit__(exception_type, exception, traceback)

    def _restored(self, outputs: Outputs) -> R:
        run = self._batcher._run
        kind = run.kind if run is not None else "dict"
        if kind == "dict":
            return cast(R, outputs)
        arrays = tuple(outputs.values())
        return cast(R, arrays if kind == "tuple" else arrays[0])


@overload
def batched(function: Callable[P, R], /) -> BatchedFunction[P, R]: ...
@overload
def batched(**options: Any) -> Callable[[Callable[P, R]], BatchedFunction[P, R]]: ...


def batched(
    function: Callable[P, R] | None = None, /, **options: Any
) -> BatchedFunction[P, R] | Callable[[Callable[P, R]], BatchedFunction[P, R]]:
    """Makes concurrent calls of a function share batches.

        @dynbatch.batched(max_batch_size=16)
        def embed(tokens, mask):
            ...

        embed(tokens, mask)   # from any thread; arrays with the batch axis first

    Args:
        function: A function as `Batcher` takes it; its parameters are its inputs. Methods and
            functions with *args or **kwargs are not supported: use `Batcher`.
        options: As for `Batcher`.

    Raises:
        InvalidArgument: The function's parameters cannot be inputs, or an option is wrong.
    """
    if function is None:
        return lambda decorated: batched(decorated, **options)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise InvalidArgument(
                f"batched: {parameter} cannot be an input; use dynbatch.Batcher with named inputs"
            )
    return BatchedFunction(function, Batcher(function, **options))
