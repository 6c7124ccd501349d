"""Snapshots of what a model is and has done: plain frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass

from dynbatch import _core

#: What a gear settles, in words.
KINDS = {
    _core.GearKind.batch: "batch size",
    _core.GearKind.image_size: "image size",
    _core.GearKind.dims: "dims",
    _core.GearKind.lengths: "lengths",
}


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of a time in seconds, from a histogram whose buckets are within 7 % of each other.

    `count` is the number of samples: every run; about one request in 64 for the queue wait.
    """

    count: int
    p50: float
    p90: float
    p99: float
    max: float

    @classmethod
    def _of(cls, native: _core.Quantiles) -> Quantiles:
        return cls(native.count, native.p50, native.p90, native.p99, native.max)


@dataclass(frozen=True)
class Gear:
    """A batch size (and where shapes differ, sizes of the free dimensions) that is prepared, with
    what was measured for it at load.

    Attributes:
        batch_size: Rows of a batch.
        seconds: Median time of one run, without company.
        seconds_alone: The same with all CPUs for the run; None where that is not on offer, and for
            gears above the cap.
        input_bytes: Bytes of all batched inputs at this size.
        output_bytes: Bytes of all outputs of known shape at this size.
        sizes: Sizes of the free dimensions, in the order of `Model.dimensions`; empty: the gear is
            a batch size alone.
    """

    batch_size: int
    seconds: float
    seconds_alone: float | None
    input_bytes: int
    output_bytes: int
    sizes: tuple[int, ...] = ()

    @property
    def seconds_per_row(self) -> float:
        """`seconds` shared among the rows."""
        return self.seconds / self.batch_size


@dataclass(frozen=True)
class GearTable:
    """The gears of a model, in the user's order.

    Attributes:
        gears: One entry a gear.
        cap: Rows of the largest batch that is formed. `batching="auto"`: the smallest gear whose
            time per row is within 3 % of the best one; "always": the largest gear; "off": requests
            run alone.
        filled: Whether every batch has exactly the size of a gear.
        kind: What a gear settles: "batch size", and with it "image size", "dims" or "lengths".
    """

    gears: tuple[Gear, ...]
    cap: int
    filled: bool
    kind: str = "batch size"

    @classmethod
    def _of(cls, native: _core.GearTable) -> GearTable:
        gears = tuple(
            Gear(
                gear.batch_size,
                gear.seconds,
                gear.seconds_alone,
                gear.input_bytes,
                gear.output_bytes,
                tuple(gear.sizes),
            )
            for gear in native.gears
        )
        return cls(gears, native.cap, native.filled, KINDS[native.kind])


@dataclass(frozen=True)
class GearBytes:
    """Bytes that one batch of a gear touches of a batch block and of an output block."""

    batch_size: int
    input_bytes: int
    output_bytes: int


@dataclass(frozen=True)
class MemoryPlan:
    """The memory that dynbatch itself plans, in bytes of address space.

    Pages become resident when a batch first touches them. The memory of what runs the batches
    (weights, activations) is not in it. `queue_capacity` is the number of rows that may wait.
    """

    gears: tuple[GearBytes, ...]
    batch_blocks: int
    batch_block_bytes: int
    output_blocks: int
    output_block_bytes: int
    total_bytes: int
    queue_capacity: int

    @classmethod
    def _of(cls, native: _core.MemoryPlan) -> MemoryPlan:
        return cls(
            gears=tuple(
                GearBytes(gear.batch_size, gear.input_bytes, gear.output_bytes)
                for gear in native.gears
            ),
            batch_blocks=native.batch_blocks,
            batch_block_bytes=native.batch_block_bytes,
            output_blocks=native.output_blocks,
            output_block_bytes=native.output_block_bytes,
            total_bytes=native.total_bytes,
            queue_capacity=native.queue_capacity,
        )


@dataclass(frozen=True)
class Stats:
    """What a model has done so far.

    At rest `accepted == succeeded + failed + cancelled + timed_out`, and `in_flight`, which is
    counted on its own, is 0.

    Attributes:
        accepted, succeeded, failed, cancelled, timed_out, in_flight: Requests.
        refused: Requests that were never accepted: invalid, queue full, closed.
        rows: Rows of requests that were run.
        padded_rows: Rows added to fill a gear.
        elements: Of models whose rows differ in shape: elements of batched inputs that requests
            brought.
        padded_elements: Of the same, elements that padding added.
        batches: Runs, reruns included; warm-up and probe are not counted.
        failed_runs, reruns: Runs that failed; runs made to find the guilty request of such a run.
        batches_by_size: At index n the batches of n rows, filling not counted.
        closed_full, closed_idle, closed_delay, closed_space, closed_drain: Why batches were closed:
            no room for another row; somebody was free to run it; the first row had waited
            `max_queue_delay`; a caller waited for room; `close()`.
        runs_on_callers, runs_on_workers, worker_wakeups: Where batches ran.
        runs_alone: Runs with all CPUs, since nothing else ran or waited.
        queue_wait, run_time: Seconds.
        gear_table: The measured gears, and the cap that they gave.
        resident_bytes: Of the planned memory, as the system counts it.
        given_back_bytes: Of the planned memory, given back to the system so far because batches had
            become smaller.
        shrinks: Runs in which the executor was told to give back its own memory for the same
            reason; the first one after load is such a run.
        unread_bytes: Results copied out for readers that have not come yet.
        workers: Batches that may run at once.
        runs_under_way: Runs at this moment.
        copied_arrays: Arrays that had to be copied before they could be queued: lists, strides,
            Fortran order, foreign byte order.
        runs_with_gil: Calls that kept the GIL while they ran their rows: short runs of a thread
            that was the only caller of late.
        execution: "native" or "python": who runs the batches.
        python_threads: Threads of Python's that belong to this model at this moment.
    """

    accepted: int
    succeeded: int
    failed: int
    cancelled: int
    timed_out: int
    in_flight: int
    refused: int
    rows: int
    padded_rows: int
    elements: int
    padded_elements: int
    batches: int
    failed_runs: int
    reruns: int
    batches_by_size: tuple[int, ...]
    closed_full: int
    closed_idle: int
    closed_delay: int
    closed_space: int
    closed_drain: int
    runs_on_callers: int
    runs_on_workers: int
    runs_alone: int
    worker_wakeups: int
    queue_wait: Quantiles
    run_time: Quantiles
    gear_table: GearTable
    resident_bytes: int
    given_back_bytes: int
    shrinks: int
    unread_bytes: int
    workers: int
    runs_under_way: int
    copied_arrays: int
    runs_with_gil: int
    execution: str
    python_threads: int

    @classmethod
    def _of(cls, core: _core.Batcher, *, execution: str, python_threads: int) -> Stats:
        native = core.stats()
        return cls(
            accepted=native.accepted,
            succeeded=native.succeeded,
            failed=native.failed,
            cancelled=native.cancelled,
            timed_out=native.timed_out,
            in_flight=native.in_flight,
            refused=native.refused,
            rows=native.rows,
            padded_rows=native.padded_rows,
            elements=native.elements,
            padded_elements=native.padded_elements,
            batches=native.batches,
            failed_runs=native.failed_runs,
            reruns=native.reruns,
            batches_by_size=tuple(native.batches_by_size),
            closed_full=native.closed_full,
            closed_idle=native.closed_idle,
            closed_delay=native.closed_delay,
            closed_space=native.closed_space,
            closed_drain=native.closed_drain,
            runs_on_callers=native.runs_on_callers,
            runs_on_workers=native.runs_on_workers,
            runs_alone=native.runs_alone,
            worker_wakeups=native.worker_wakeups,
            queue_wait=Quantiles._of(native.queue_wait),
            run_time=Quantiles._of(native.run_time),
            gear_table=GearTable._of(native.gear_table),
            resident_bytes=native.resident_bytes,
            given_back_bytes=native.given_back_bytes,
            shrinks=native.shrinks,
            unread_bytes=native.unread_bytes,
            workers=native.workers,
            runs_under_way=native.runs_under_way,
            copied_arrays=core.copied_arrays,
            runs_with_gil=core.runs_with_gil,
            execution=execution,
            python_threads=python_threads,
        )
