"""`load` and `Model`: an ONNX model that batches concurrent callers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

from dynbatch import _core
from dynbatch._batch_inputs import BatchInput, BatchOutput
from dynbatch._cpus import available_cpus
from dynbatch._declarations import Input, Output
from dynbatch._errors import InvalidArgument, InvalidInput, RowsMixWarning
from dynbatch._executors import (
    OnnxExecutor,
    OnnxOptions,
    Providers,
    Source,
    is_session,
    make_executor,
    threads_for_hint,
    wanted_outputs,
)
from dynbatch._options import (
    DEFAULT_MAX_BATCH_SIZE,
    DEFAULT_QUEUE_BYTES,
    Batching,
    on_full_of,
    positive,
)
from dynbatch._runtime import Runtime
from dynbatch._shapes import Dims, Lengths, Shapes
from dynbatch._submitter import Submitter
from dynbatch._tensors import Array, Dimensions, Feeds
from dynbatch._triton import read_config
from dynbatch._warn import warn


class Model(Submitter):
    """An ONNX model that batches concurrent callers. Made by `load()`.

    It stands where an `onnxruntime.InferenceSession` stood: `run`, `get_inputs`, `get_outputs`,
    `get_modelmeta` and `get_providers` answer as there. All methods may be called from any thread.
    """

    def __init__(self, runtime: Runtime, onnx: OnnxExecutor, on_full: _core.OnFull | None) -> None:
        """Not for users: call `load()`."""
        super().__init__(on_full)
        self._declared_inputs = onnx.inputs
        self._declared_outputs = onnx.outputs
        self._metadata = onnx.metadata
        self._providers = onnx.providers
        self._output_indices = {node.name: i for i, node in enumerate(onnx.outputs)}
        self._adopt(runtime)

    def run(
        self,
        output_names: Sequence[str] | None,
        input_feed: Feeds,
        run_options: None = None,
    ) -> list[Array]:
        """InferenceSession's own call: waits for the outputs, as a list.

        Args:
            output_names: The outputs wanted, in that order; None or [] for all of them.
            input_feed: As for `infer`.
            run_options: None. For a deadline use `infer(timeout=)`.

        Returns:
            One array an output, each with the batch axis first. They are the caller's own.

        Raises:
            InvalidArgument: `run_options` were given.
            Error: As `infer` raises.
        """
        if run_options is not None:
            raise InvalidArgument(
                "run_options: expected None, since requests share runs; for a deadline use "
                "infer(timeout=), for configuration load(session_config=)"
            )
        outputs = self._indices(output_names) if output_names else None
        runtime = self._runtime or self._start(None)
        return runtime.core.run(input_feed, outputs, self._full_to_callers)

    @property
    def dimensions(self) -> list[str]:
        """The names of the dimensions whose sizes may differ between requests, without the batch:
        the model's own, or "input[axis]". `Gear.sizes` has their order.
        """
        runtime = self._runtime or self._start(None)
        return runtime.core.spec.dimensions

    def get_inputs(self) -> list[Any]:
        """The inputs as the model declares them: objects with `name`, `type` and `shape`. What the
        runtime makes of each batch (`batch_inputs`) is not among them.
        """
        return list(self._declared_inputs)

    def get_outputs(self) -> list[Any]:
        """The outputs as the model declares them: objects with `name`, `type` and `shape`."""
        return list(self._declared_outputs)

    def get_modelmeta(self) -> Any:
        """The model's metadata, with the attributes of `onnxruntime.ModelMetadata`."""
        return self._metadata

    def get_providers(self) -> list[str]:
        """The execution providers in use, in the order of their priority."""
        return list(self._providers)

    def _start(self, feeds: Feeds | None, caller: FrameType | None = None) -> Runtime:
        raise AssertionError("a model has its runtime from the start")

    def _indices(self, names: Sequence[str]) -> list[int]:
        if isinstance(names, str):
            raise InvalidInput(f"output_names: expected a list of names, got the string {names!r}")
        try:
            return [self._output_indices[name] for name in names]
        except (KeyError, TypeError):
            unknown = [name for name in names if name not in self._output_indices]
            raise InvalidInput(
                f"output_names: there is no output {unknown[0]!r}: expected "
                f"{', '.join(self._output_indices)}"
            ) from None

    def __repr__(self) -> str:
        runtime = self._runtime
        assert runtime is not None
        inputs = ", ".join(node.name for node in self._declared_inputs)
        outputs = ", ".join(self._output_indices)
        state = "closed" if self.closed else f"{runtime.execution} execution"
        return f"<dynbatch.Model ({inputs}) -> ({outputs}): {state}>"


def load(
    model: Source,
    *,
    max_batch_size: int = DEFAULT_MAX_BATCH_SIZE,
    gears: Sequence[int] | None = None,
    fill: str | bool = "auto",
    dimensions: Dimensions | None = None,
    inputs: Mapping[str, Input] | None = None,
    outputs: Sequence[str] | Mapping[str, Output] | None = None,
    ragged: Sequence[str] | None = None,
    batch_inputs: Sequence[BatchInput] | None = None,
    batch_outputs: Sequence[BatchOutput] | None = None,
    lengths: Lengths | None = None,
    image_sizes: Sequence[tuple[int, int]] | None = None,
    dims: Dims | None = None,
    pads: bool = False,
    set_size: int = 1,
    config: str | os.PathLike[str] | None = None,
    hint: str | None = None,
    workers: int | None = None,
    intra_op_threads: int | None = None,
    max_queue_delay: float = 0.0,
    queue_capacity: int | None = None,
    queue_bytes: int = DEFAULT_QUEUE_BYTES,
    on_full: str | None = None,
    execution: str | None = None,
    providers: Providers | None = None,
    session_config: Mapping[str, str] | None = None,
    batching: str = "auto",
    verify: bool | Feeds = True,
    row_tolerance: float | None = None,
) -> Model:
    """Loads an ONNX model and gets it ready to batch: warms it up, measures it, checks its rows.

    Takes as long as some runs of each gear do. A model into which gears were compiled
    (`dynbatch.compile`) brings them with it, and the sizes of dimensions that gears leave alone:
    they stand for `gears`, `image_sizes`, `dims` and `dimensions` where these say nothing.

    Args:
        model: A path, the bytes of a model, or a live `onnxruntime.InferenceSession`, which then
            runs the batches itself, with its providers and custom operators.
        max_batch_size: Rows of the largest batch.
        gears: Batch sizes that are prepared and measured; None: powers of two up to
            `max_batch_size`. Given alone, their largest is `max_batch_size`.
        fill: Whether a batch must have exactly the size of a gear: True, False, or "auto" for where
            the model needs it. What is missing is filled with a row of the warm-up.
        dimensions: Values for free dimensions other than the batch, by name or by (input, axis).
            Those that stay free may differ between requests: without `lengths`, `image_sizes` and
            `dims` requests run together where their sizes are equal.
        inputs: `Input(...)` by name: what an input's shape does not tell (whether it has a batch
            axis, and where), and how it is padded.
        outputs: Names of the outputs that are wanted, in that order; None: all. What is left out is
            not computed where ONNX Runtime can avoid it, and takes no memory. Or a mapping from
            name to `Output(...)`, which declares outputs and selects none: all are wanted.
        ragged: Inputs whose rows follow each other in one flat tensor, whatever their shapes; as
            `Input(ragged=True)`.
        batch_inputs: Inputs that the runtime makes for each batch, as `BatchInput(...)`.
        batch_outputs: Outputs in one flat tensor that is taken apart, as `BatchOutput(...)`.
        lengths: How free dimensions are padded, by name or by (input, axis, counted with the batch
            axis). A list: up to the smallest of these sizes that fits all rows of a batch. An int:
            up to the longest row of a batch, which is at most this. Longer rows are refused.
        image_sizes: Pairs of height and width, which are the last two axes of the one image input:
            each is prepared, and others are refused.
        dims: Mappings from free dimension (by name or by (input, axis)) to size, and from "batch"
            to a batch size if that is part of it: each is prepared, and others are refused.
        pads: Rows smaller than an image size or one of `dims` are padded up to the smallest that
            fits, instead of being refused.
        set_size: Of models whose rows differ in shape: batches that each worker prepares ahead, the
            one that runs included. 1 to 8.
        config: The path of a Triton model configuration (config.pbtxt), from which
            `max_batch_size`, `input`, `batch_input`, `batch_output` and `dynamic_batching`'s
            `max_queue_delay_microseconds` are taken, each unless the option here says something
            else than its default. Dimensions that `input` fixes are bound. What would change
            answers, errors or their order is refused; what tunes or serves is ignored
            (`preferred_batch_size`, `instance_group`, `optimization`, names, and whether there is
            `dynamic_batching` at all). Needs `pip install dynbatch[triton]`.
        hint: "latency": one worker that has all CPUs; "throughput": a worker for each CPU, each
            with one thread. None: as "throughput", but a run that is alone (nothing else runs or
            waits) gets all CPUs where the times measured at load say that this is faster. Such runs
            have a session of their own, with a copy of the weights; it is kept only if some gear
            gains 15 % by it. There are none with numbers for `workers` or `intra_op_threads`, with
            Python execution, or for models above 256 MiB.
        workers: Batches that may run at once; None: as `hint` says.
        intra_op_threads: ONNX Runtime's threads for one run; None: as `hint` says.
        max_queue_delay: Seconds that the first row of a batch may wait for company; 0: it starts as
            soon as it can. At most 10.
        queue_capacity: Rows that may wait; None: what `queue_bytes` allows.
        queue_bytes: Bytes of the memory in which rows wait and run.
        on_full: What a full queue means: "wait" or "raise" QueueFull. None: `run` and `infer` wait,
            `submit` raises. Coroutines always wait.
        execution: "native": C++ threads run ONNX Runtime. "python": an InferenceSession does. None:
            native, unless `model` or `providers` need Python.
        providers: As InferenceSession takes them; others than the CPU's, and options for it, select
            Python execution.
        session_config: Session configuration entries for ONNX Runtime.
        batching: "auto": merges requests if rows are independent, up to the size that the measured
            times justify. "always": up to the largest size; an error if rows mix. "off": never.
        verify: Whether a short probe checks that rows are independent; feeds (at least one row)
            for probe and warm-up instead of made-up values.
        row_tolerance: The difference between rows alone and in company that is accepted, relative
            to the largest answer; None: 1e-3.

    Returns:
        A model that is ready. Close it, or use it in a `with` statement.

    Raises:
        ModelError: The model cannot be loaded or not batched as asked; also FileNotFoundError where
            the file does not exist.
        InvalidArgument: An option is out of range or does not go with another one.

    Warns:
        RowsMixWarning: Rows mix, or the probe could not run: requests are not merged.
    """
    full = on_full_of(on_full)
    run_workers, run_threads, lone_threads = _threads(model, hint, workers, intra_op_threads)
    batching_options = Batching(
        max_batch_size=max_batch_size,
        gears=gears,
        fill=fill,
        workers=run_workers,
        max_queue_delay=max_queue_delay,
        queue_capacity=queue_capacity,
        queue_bytes=queue_bytes,
        batching=batching,
        verify=verify,
        row_tolerance=row_tolerance,
    )
    onnx_options = OnnxOptions(
        dimensions,
        inputs,
        outputs,
        run_threads,
        execution,
        providers,
        session_config,
        lone_threads,
        ragged,
        batch_inputs,
        batch_outputs,
    )
    triton = None if config is None else read_config(config)
    if triton is not None:
        batching_options = triton.fill_batching(batching_options)
        onnx_options = triton.fill_onnx(onnx_options)
    shapes = Shapes(lengths, image_sizes, dims, pads, set_size)
    # Before the model is opened: what is wrong with an option should not take a load to find out.
    batching_options.native(own_workers=True)
    shapes.check()
    onnx = make_executor(model, onnx_options)
    if triton is not None:
        triton.check(onnx.inputs, None if wanted_outputs(onnx_options) else onnx.outputs)
    return _started(onnx, batching_options, shapes, full)


def _started(
    onnx: OnnxExecutor, options: Batching, shapes: Shapes, full: _core.OnFull | None
) -> Model:
    native = onnx.execution == "native"
    core_options = options.native(own_workers=native)
    shapes.put_into(core_options, onnx.executor.spec)
    if not native:  # the core reads the metadata of what it runs itself
        core_options = _core.with_compiled_gears(
            core_options, onnx.metadata.custom_metadata_map, onnx.executor.spec
        )

    def make() -> _core.Batcher:
        return _core.Batcher(onnx.executor, core_options, options.examples)

    runtime = Runtime.native(make) if native else Runtime.python(make)
    try:
        warn_if_rows_mix(runtime.core)
        return Model(runtime, onnx, full)
    except BaseException:  # warnings may be errors, and Ctrl-C comes at any time
        runtime.close(drain=False)
        raise


def _threads(
    model: Source, hint: str | None, workers: int | None, intra_op_threads: int | None
) -> tuple[int, int | None, int]:
    """Workers, threads of each run, and threads of a run that is alone."""
    if is_session(model):
        # Its threads are its own, and usually all of them: one batch at a time.
        threads_for_hint(hint, workers, None)
        return positive("workers", workers) or 1, intra_op_threads, 0
    threads = threads_for_hint(hint, workers, intra_op_threads)
    _warn_about_many_threads(threads.workers, threads.intra_op)
    return threads.workers, threads.intra_op, threads.lone


def warn_if_rows_mix(core: _core.Batcher, caller: FrameType | None = None) -> None:
    """Tells why requests are not merged, where that may surprise."""
    warning = core.report.warning
    if warning:
        warn(RowsMixWarning(warning), caller)


def _warn_about_many_threads(workers: int, intra_op_threads: int) -> None:
    cpus = available_cpus()
    if workers * intra_op_threads > cpus:
        warn(
            RuntimeWarning(
                f"workers={workers} with intra_op_threads={intra_op_threads} are "
                f"{workers * intra_op_threads} threads for {cpus} CPUs: runs will slow each other "
                "down"
            )
        )
