"""`GearModel`: choose a gear, then execute it, without batching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dynbatch import _core
from dynbatch._declarations import Input, Output
from dynbatch._executors import (
    OnnxOptions,
    Providers,
    Source,
    make_executor,
    node_arg,
    selected,
    wanted_outputs,
)
from dynbatch._gears import InputShape, integers, load_whole, told_gears
from dynbatch._options import gears_of, one_of, positive, required
from dynbatch._stats import GearTable, MemoryPlan
from dynbatch._tensors import Dimensions, Feeds, Outputs

_CHOICES = {
    "upper": _core.GearChoice.upper,
    "nearest": _core.GearChoice.nearest,
    "lower": _core.GearChoice.lower,
}


class GearModel:
    """The gear calls themselves: a model prepared for some batch sizes, image sizes or dims.

    For programs that form their own batches. It serves one thread at a time; a second one that
    comes meanwhile gets an error.
    """

    def __init__(
        self,
        model: Source,
        *,
        gears: Sequence[int] | None = None,
        image_sizes: Sequence[tuple[int, int]] | None = None,
        dims: Sequence[Sequence[int]] | None = None,
        input_shape: InputShape | None = None,
        dimensions: Dimensions | None = None,
        inputs: Mapping[str, Input] | None = None,
        outputs: Sequence[str] | Mapping[str, Output] | None = None,
        intra_op_threads: int | None = None,
        execution: str | None = None,
        providers: Providers | None = None,
        session_config: Mapping[str, str] | None = None,
    ) -> None:
        """Loads a model and runs every gear.

        Gears are of one kind: `gears`, `image_sizes` or `dims`, 1 to 100 of them, in an order of
        your own, without duplicates. Without any, they are those that were compiled into the model,
        or the only one of a model without free dimensions. Image sizes, dims, compiled gears and
        `input_shape` need native execution, and declare nothing about rows (`inputs`, `Output`).

        Args:
            model: As for `load`, and so are the options that are not described here.
            gears: Batch sizes.
            image_sizes: Pairs of height and width, for the two free dimensions of each input that
                has any.
            dims: Each a size for every free dimension of all inputs, in their order.
            input_shape: The whole shape of every input by name, with -1 where gears differ: where
                the model leaves more free than its gears tell. Their order is that of dims. None:
                the shapes that the model declares, in its own order.
            dimensions: Values for free dimensions that gears do not tell, in place of sizes that
                were compiled.
            inputs: What their declarations in the model do not tell, by name.
            outputs: Names of the outputs that are wanted, or declarations of outputs by name;
                None: all.
            intra_op_threads: ONNX Runtime's threads for one run; None: 1.
            execution: "native", "python" or None.
            providers: As InferenceSession takes them.
            session_config: Session configuration entries.

        Raises:
            ModelError: The model cannot be loaded, has free dimensions and no gears, or has an
                output whose shape is not constant in a gear.
            InvalidArgument: An option is out of range, or does not fit the model.
        """
        options = OnnxOptions(
            dimensions,
            inputs,
            outputs,
            positive("intra_op_threads", intra_op_threads),
            execution,
            providers,
            session_config,
        )
        told = told_gears(gears, image_sizes, dims, input_shape)
        if gears is not None and input_shape is None:
            onnx = make_executor(model, options)
            self._declared_inputs = onnx.inputs
            self._declared_outputs = onnx.outputs
            self._core = _core.GearModel(onnx.executor, gears_of(gears))
            return
        self._core = load_whole(model, options, told)
        description = self._core.description
        assert description is not None  # native execution has one
        self._declared_inputs = [node_arg(one) for one in description.inputs]
        self._declared_outputs = selected(
            [node_arg(one) for one in description.outputs], wanted_outputs(options)
        )

    def set_dynamic_batch_size(self, batch_size: int) -> None:
        """Chooses the gear of the next `execute`. The largest is chosen at first.

        Raises:
            InvalidArgument: It is none of the gears, which the message lists, or they are of
                another kind.
        """
        self._core.set_dynamic_batch_size(required("batch_size", batch_size))

    def set_dynamic_image_size(self, height: int, width: int) -> None:
        """Chooses the gear of the next `execute` by its image size; raises as above."""
        self._core.set_dynamic_image_size(required("height", height), required("width", width))

    def set_input_dynamic_dims(self, dims: Sequence[int]) -> None:
        """Chooses the gear of the next `execute` by its dims.

        Args:
            dims: All dimensions of all inputs, one input after the other, in the order of
                `input_shape`, or as it was compiled; also those that do not change.

        Raises:
            InvalidArgument: They are none of the gears, which the message lists, differ where
                nothing may change, or the gears are of another kind.
        """
        self._core.set_input_dynamic_dims(integers("dims", dims, least=0))

    def gear_for(self, rows: int, choice: str = "upper") -> int:
        """The batch gear for so many rows.

        Args:
            rows: At least 1.
            choice: "upper": the smallest gear that holds them; "nearest": the least difference, of
                two the larger; "lower": the largest that they fill.

        Raises:
            InvalidArgument: There is none, or the gears are of another kind.
        """
        return self._core.gear_for(required("rows", rows), one_of("choice", choice, _CHOICES))

    @property
    def dynamic_batch_size(self) -> int:
        """The batch size that is chosen; 0 if the gears are of another kind."""
        return self._core.dynamic_batch_size

    def execute(self, feeds: Feeds) -> Outputs:
        """Runs feeds of exactly the chosen gear's shapes.

        Args:
            feeds: Arrays by input name, whole; or the bare array of a single-input model.

        Returns:
            Arrays by output name. They are the caller's own.

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
