"""The gears of a model, and their memory: `python gears.py MODEL.onnx`."""

from __future__ import annotations

import sys

import numpy as np

import dynbatch


def main() -> None:
    model = dynbatch.GearModel(sys.argv[1], gears=[1, 2, 4, 8])
    (entry,) = model.get_inputs()
    for gear in model.gears.gears:
        model.set_dynamic_batch_size(gear.batch_size)
        outputs = model.execute(
            {entry.name: np.zeros((gear.batch_size, *entry.shape[1:]), np.float32)}
        )
        shapes = {name: array.shape for name, array in outputs.items()}
        print(f"gear {gear.batch_size}: {gear.seconds_per_row * 1e6:.1f} us a row, {shapes}")
    try:
        model.set_dynamic_batch_size(3)
    except dynbatch.InvalidArgument as error:
        print(error)
    print(f"3 rows fit into gear {model.gear_for(3)}, and fill gear {model.gear_for(3, 'lower')}")
    plan = model.memory_plan()
    print(f"{plan.total_bytes} bytes for inputs and outputs of all gears, which share them")


if __name__ == "__main__":
    main()
