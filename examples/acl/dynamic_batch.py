"""Batch sizes: `python -m dynbatch.acl dynamic_batch.py MODEL.om`, or, on Ascend, without dynbatch.

The model is one of

    dynbatch compile model.onnx --input_shape="x:-1,..." --dynamic_batch_size="1,2,4,8"
      --output=model
"""

from __future__ import annotations

import sys

import acl  # type: ignore[import-not-found]
import numpy as np

DEVICE_TO_HOST = 2


def check(code: int) -> None:
    if code != 0:
        raise SystemExit(f"{code} {acl.get_recent_err_msg()}")


def make_dataset(sizes: list[int]) -> int:
    """Memory for each input or output, as large as the largest gear needs."""
    dataset = acl.mdl.create_dataset()
    for size in sizes:
        memory, code = acl.rt.malloc(size, 0)
        check(code)
        check(acl.rt.memset(memory, size, 0, size))
        dataset, code = acl.mdl.add_dataset_buffer(dataset, acl.create_data_buffer(memory, size))
        check(code)
    return int(dataset)


def destroy_dataset(dataset: int) -> None:
    for i in range(acl.mdl.get_dataset_num_buffers(dataset)):
        buffer = acl.mdl.get_dataset_buffer(dataset, i)
        check(acl.rt.free(acl.get_data_buffer_addr(buffer)))
        check(acl.destroy_data_buffer(buffer))
    check(acl.mdl.destroy_dataset(dataset))


def main() -> None:
    check(acl.init())
    check(acl.rt.set_device(0))
    model, code = acl.mdl.load_from_file(sys.argv[1])
    check(code)
    desc = acl.mdl.create_desc()
    check(acl.mdl.get_desc(desc, model))
    inputs, outputs = acl.mdl.get_num_inputs(desc), acl.mdl.get_num_outputs(desc)
    in_sizes = [acl.mdl.get_input_size_by_index(desc, i) for i in range(inputs)]
    out_sizes = [acl.mdl.get_output_size_by_index(desc, i) for i in range(outputs)]
    in_set, out_set = make_dataset(in_sizes), make_dataset(out_sizes)

    shape_input, code = acl.mdl.get_input_index_by_name(desc, "ascend_mbatch_shape_data")
    check(code)
    gears, code = acl.mdl.get_dynamic_batch(desc)
    check(code)
    for batch in gears["batch"]:
        check(acl.mdl.set_dynamic_batch_size(model, in_set, shape_input, batch))
        check(acl.mdl.execute(model, in_set, out_set))
        dims, code = acl.mdl.get_cur_output_dims(desc, 0)
        check(code)
        answers = np.empty(dims["dims"], np.float32)
        source = acl.get_data_buffer_addr(acl.mdl.get_dataset_buffer(out_set, 0))
        target = acl.util.numpy_to_ptr(answers)
        check(acl.rt.memcpy(target, answers.nbytes, source, answers.nbytes, DEVICE_TO_HOST))
        print(f"gear {batch}: output {dims['dims']}, first value {answers.flat[0]:g}")

    destroy_dataset(in_set)
    destroy_dataset(out_set)
    check(acl.mdl.destroy_desc(desc))
    check(acl.mdl.unload(model))
    check(acl.rt.reset_device(0))
    check(acl.finalize())


if __name__ == "__main__":
    main()
