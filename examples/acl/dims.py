"""Dims: `python dims.py MODEL.om`; the model is one of

dynbatch compile model.onnx --input_format=ND --input_shape="x:-1,-1"
  --dynamic_dims="1,64;8,64;8,256" --output=model
"""

from __future__ import annotations

import sys

import numpy as np

from dynbatch import acl

ALL_INPUTS = -1


def check(code: int) -> None:
    if code != 0:
        raise SystemExit(f"{code} {acl.get_recent_err_msg()}")


def execute(model: int, desc: int, in_set: int) -> list[int]:
    """Executes the gear that is set; the library brings memory for outputs that begin as (0, 0)."""
    out_set = acl.mdl.create_dataset()
    buffers = [acl.create_data_buffer(0, 0) for _ in range(acl.mdl.get_num_outputs(desc))]
    for buffer in buffers:
        out_set, code = acl.mdl.add_dataset_buffer(out_set, buffer)
        check(code)
    check(acl.mdl.execute(model, in_set, out_set))
    dims, code = acl.mdl.get_cur_output_dims(desc, 0)
    check(code)
    for buffer in buffers:
        check(acl.rt.free(acl.get_data_buffer_addr(buffer)))
        check(acl.destroy_data_buffer(buffer))
    check(acl.mdl.destroy_dataset(out_set))
    return list(dims["dims"])


def execute_every_gear(model: int, desc: int) -> None:
    sizes = [acl.mdl.get_input_size_by_index(desc, i) for i in range(acl.mdl.get_num_inputs(desc))]
    arrays = [np.zeros(size, np.uint8) for size in sizes]
    in_set = acl.mdl.create_dataset()
    buffers = [acl.create_data_buffer(acl.util.numpy_to_ptr(a), a.nbytes) for a in arrays]
    for buffer in buffers:
        in_set, code = acl.mdl.add_dataset_buffer(in_set, buffer)
        check(code)
    shape_input, code = acl.mdl.get_input_index_by_name(desc, "ascend_mbatch_shape_data")
    check(code)
    count, code = acl.mdl.get_input_dynamic_gear_count(desc, ALL_INPUTS)
    check(code)
    gears, code = acl.mdl.get_input_dynamic_dims(desc, ALL_INPUTS, count)
    check(code)
    for gear in gears:
        check(acl.mdl.set_input_dynamic_dims(model, in_set, shape_input, gear))
        print(f"gear {gear['dims']}: output {execute(model, desc, in_set)}")
    for buffer in buffers:
        check(acl.destroy_data_buffer(buffer))
    check(acl.mdl.destroy_dataset(in_set))


def main() -> None:
    check(acl.init())
    check(acl.rt.set_device(0))
    model, code = acl.mdl.load_from_file(sys.argv[1])
    check(code)
    desc = acl.mdl.create_desc()
    check(acl.mdl.get_desc(desc, model))
    execute_every_gear(model, desc)
    check(acl.mdl.destroy_desc(desc))
    check(acl.mdl.unload(model))
    check(acl.rt.reset_device(0))
    check(acl.finalize())


if __name__ == "__main__":
    main()
