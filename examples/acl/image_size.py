"""Image sizes: `python image_size.py MODEL.om`; the model is one of

dynbatch compile model.onnx --input_shape="x:1,3,-1,-1"
  --dynamic_image_size="320,320;640,640" --output=model
"""

from __future__ import annotations

import sys

import numpy as np

from dynbatch import acl


def check(code: int) -> None:
    if code != 0:
        raise SystemExit(f"{code} {acl.get_recent_err_msg()}")


def dataset_of(arrays: list[np.ndarray]) -> int:
    """A dataset over arrays; whoever has them keeps them."""
    dataset = acl.mdl.create_dataset()
    for array in arrays:
        buffer = acl.create_data_buffer(acl.util.numpy_to_ptr(array), array.nbytes)
        dataset, code = acl.mdl.add_dataset_buffer(dataset, buffer)
        check(code)
    return dataset


def destroy_dataset(dataset: int) -> None:
    for i in range(acl.mdl.get_dataset_num_buffers(dataset)):
        check(acl.destroy_data_buffer(acl.mdl.get_dataset_buffer(dataset, i)))
    check(acl.mdl.destroy_dataset(dataset))


def execute_every_gear(model: int, desc: int, stream: int) -> None:
    inputs, outputs = acl.mdl.get_num_inputs(desc), acl.mdl.get_num_outputs(desc)
    x = [np.zeros(acl.mdl.get_input_size_by_index(desc, i), np.uint8) for i in range(inputs)]
    y = [np.zeros(acl.mdl.get_output_size_by_index(desc, i), np.uint8) for i in range(outputs)]
    in_set, out_set = dataset_of(x), dataset_of(y)
    shape_input, code = acl.mdl.get_input_index_by_name(desc, "ascend_mbatch_shape_data")
    check(code)
    gears, code = acl.mdl.get_dynamic_hw(desc, -1)
    check(code)
    for height, width in gears["hw"]:
        check(acl.mdl.set_dynamic_hw_size(model, in_set, shape_input, height, width))
        check(acl.mdl.execute_async(model, in_set, out_set, stream))
        check(acl.rt.synchronize_stream(stream))
        dims, code = acl.mdl.get_cur_output_dims(desc, 0)
        check(code)
        print(f"gear {height} x {width}: output {dims['dims']}")
    destroy_dataset(in_set)
    destroy_dataset(out_set)


def main() -> None:
    check(acl.init())
    check(acl.rt.set_device(0))
    stream, code = acl.rt.create_stream()
    check(code)
    model, code = acl.mdl.load_from_file(sys.argv[1])
    check(code)
    desc = acl.mdl.create_desc()
    check(acl.mdl.get_desc(desc, model))
    execute_every_gear(model, desc, stream)
    check(acl.mdl.destroy_desc(desc))
    check(acl.mdl.unload(model))
    check(acl.rt.destroy_stream(stream))
    check(acl.rt.reset_device(0))
    check(acl.finalize())


if __name__ == "__main__":
    main()
