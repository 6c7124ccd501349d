"""`GearModel`: choose a gear, then execute it, without batching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dynbatch import _core
from dynbatch._declarations import Input, Output
from dynbatch._errors import InvalidArgument
from dynbatch._executors import OnnxOptions, Providers, Source, make_executor
from dynbatch._options import gears_of, positive
from dynbatch._stats import GearTable, MemoryPlan
from dynbatch._tensors import Dimensions, Feeds, Outputs


class GearModel:
    """The gear calls themselves: a model that is prepared for some batch sizes.

    For programs that form their own batches. It serves one thread at a time; a second one that
    comes meanwhile gets an error.
    """

    def __init__(
        self,
        model: Source,
        *,
        gears: Sequence[int],
        dimensions: Dimensions | None = None,
        inputs: Mapping[str, Input] | None = None,
        outputs: Sequence[str] | Mapping[str, Output] | None = None,
        intra_op_threads: int | None = None,
        execution: str | None = None,
        providers: Providers | None = None,
        session_config: Mapping[str, str] | None = None,
    ) -> None:
        """Loads a model and runs every gear once.

        Args:
            model: As for `load`, and so are the options below.
            gears: 1 to 100 batch sizes, in an order of your own, without duplicates.
            dimensions: Values for free dimensions other than the batch.
            inputs: What their declarations in the model do not tell, by name.
            outputs: Names of the outputs that are wanted, or declarations of outputs by name;
                None: all.
            intra_op_threads: ONNX Runtime's threads for one run; None: 1.
            execution: "native", "python" or None.
            providers: As InferenceSession takes them.
            session_config: Session configuration entries.

        Raises:
            ModelError: The model cannot be loaded.
            InvalidArgument: An option is out of range.
        """
        sizes = gears_of(gears)
        options = OnnxOptions(
            dimensions,
            inputs,
            outputs,
            positive("intra_op_threads", intra_op_threads),
            execution,
            providers,
            session_config,
        )
        onnx = make_executor(model, options)
        self._declared_inputs = onnx.inputs
        self._declared_outputs = onnx.outputs
        self._core = _core.GearModel(onnx.executor, sizes)

    def set_dynamic_batch_size(self, batch_size: int) -> None:
        """Chooses the gear of the next `execute`. The largest is chosen at first.

        Raises:
            InvalidArgument: It is none of the gears, which the message lists.
        """
        size = positive("batch_size", batch_size)
        if size is None:
            raise InvalidArgument("batch_size: expected an int of at least 1, got None")
        self._core.set_dynamic_batch_size(size)

    @property
    def dynamic_batch_size(self) -> int:
        """The gear that is chosen."""
        return self._core.dynamic_batch_size

    def execute(self, feeds: Feeds) -> Outputs:
        """Runs feeds of exactly the chosen gear's rows.

        Args:
            feeds: Arrays by input name, each with the batch axis first; or the bare array of a
                single-input model.

        Returns:
            Arrays by output name, each with the batch axis first. They are the caller's own.

        Raises:
            InvalidInput: The feeds do not fit the model, or not the gear.
            ExecutionError: The run failed.
            InvalidArgument: Another thread is inside.
        """
        return self._core.execute(feeds)

    @property
    def gears(self) -> GearTable:
        """The gears, in the order given."""
        return GearTable._of(self._core.gears)

    def memory_plan(self) -> MemoryPlan:
        """The memory for inputs and outputs, in bytes, for each gear and in all."""
        return MemoryPlan._of(self._core.memory_plan())

    def get_inputs(self) -> list[Any]:
        """The inputs as the model declares them: objects with `name`, `type` and `shape`."""
        return list(self._declared_inputs)

    def get_outputs(self) -> list[Any]:
        """The outputs as the model declares them: objects with `name`, `type` and `shape`."""
        return list(self._declared_outputs)
