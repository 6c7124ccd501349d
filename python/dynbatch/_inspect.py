"""What can be told of any ONNX model: as it declares itself, and as it is batched."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dynbatch import _core
from dynbatch._errors import ModelError, RowsMixWarning
from dynbatch._gear_model import GearModel
from dynbatch._model import Model, load
from dynbatch._stats import KINDS, MemoryPlan


@dataclass(frozen=True)
class InspectedTensor:
    """An input or output; `batch` is its batch axis in words."""

    name: str
    type: str
    shape: str
    batch: str


@dataclass(frozen=True)
class InspectedGear:
    """A gear as it was prepared; `rows` are those of its batch."""

    name: str
    rows: int
    input_bytes: int
    output_bytes: int
    seconds: float


@dataclass(frozen=True)
class Inspection:
    """What was found; `facts` are names with a line of text each."""

    inputs: Sequence[InspectedTensor]
    outputs: Sequence[InspectedTensor]
    facts: Sequence[tuple[str, str]]
    gears: Sequence[InspectedGear] = field(default_factory=tuple)


def inspect(model: str | os.PathLike[str]) -> Inspection:
    """Loads a model to tell about it; what cannot be batched is told as gear calls see it.

    Raises:
        ModelError: It can be loaded in neither way.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RowsMixWarning)  # a fact that is told
            batched = load(model)
    except ModelError as error:
        return _without_batches(model, error)
    with batched:
        return _of_model(batched)


def _of_model(model: Model) -> Inspection:
    runtime = model._runtime
    assert runtime is not None
    core = runtime.core
    report = core.report
    facts = [("compiled gears", _compiled(model.get_modelmeta().custom_metadata_map))]
    if not report.probed:
        independence = "not known"
    elif report.rows_independent:
        independence = "yes, to the last bit" if report.bit_equal else "yes"
    else:
        independence = "no"
    facts.append(("rows independent", independence))
    facts.append(("requests share batches", "yes" if report.merges else "no"))
    if report.warning:
        facts.append(("warning", report.warning))
    if model.dimensions:
        facts.append(("free dimensions", ", ".join(model.dimensions)))
    table = model.gears
    facts.append(("largest batch that is formed", str(table.cap)))
    facts.append(("memory plan", _plan(model.memory_plan())))
    gears = [
        InspectedGear(
            name=",".join(map(str, (gear.batch_size, *gear.sizes))),
            rows=gear.batch_size,
            input_bytes=gear.input_bytes,
            output_bytes=gear.output_bytes,
            seconds=gear.seconds,
        )
        for gear in table.gears
    ]
    return Inspection(
        _tensors(model.get_inputs(), core.spec.inputs),
        _tensors(model.get_outputs(), core.spec.outputs),
        facts,
        gears,
    )


def _without_batches(path: str | os.PathLike[str], reason: ModelError) -> Inspection:
    try:
        model = GearModel(path)
    except ModelError:
        raise reason from None
    description = model._core.description
    assert description is not None  # native execution has one
    facts = [("compiled gears", _compiled(description.metadata.custom))]
    facts.append(("batched by load()", f"no: {reason}"))
    plan = model.memory_plan()
    facts.append(("memory plan", f"{plan.total_bytes} bytes of outputs; inputs are read in place"))
    gears = [
        InspectedGear(
            name=",".join(map(str, gear.sizes or (gear.batch_size,))),
            rows=gear.batch_size,
            input_bytes=gear.input_bytes,
            output_bytes=gear.output_bytes,
            seconds=gear.seconds,
        )
        for gear in model.gears.gears
    ]
    return Inspection(
        _tensors(model.get_inputs(), []), _tensors(model.get_outputs(), []), facts, gears
    )


def _tensors(declared: Sequence[Any], specs: Sequence[_core.TensorSpec]) -> list[InspectedTensor]:
    by_name = {spec.name: spec for spec in specs}
    tensors = []
    for node in declared:
        spec = by_name.get(node.name)
        batch = "-" if spec is None else "shared" if spec.shared else str(spec.batch_axis)
        shape = "[" + ", ".join("?" if dim is None else str(dim) for dim in node.shape) + "]"
        tensors.append(InspectedTensor(node.name, node.type, shape, batch))
    return tensors


def _compiled(metadata: Mapping[str, str]) -> str:
    model = _core.compiled_model(dict(metadata))
    if model is None:
        return "none"
    sizes = "; ".join(",".join(map(str, gear.sizes)) or "one, fixed" for gear in model.gears)
    return f"{KINDS[model.kind]}: {sizes}"


def _plan(plan: MemoryPlan) -> str:
    return (
        f"{plan.total_bytes} bytes: {plan.batch_blocks} batch blocks of {plan.batch_block_bytes}, "
        f"{plan.output_blocks} output blocks of {plan.output_block_bytes}; "
        f"{plan.queue_capacity} rows may wait"
    )
