"""pyACL's functions: what they take, what they return, and how scripts for `import acl` run."""

from __future__ import annotations

import ctypes
import json
import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import dynbatch
from acl_models import Buffers, Loaded, checked, with_gears
from dynbatch import acl
from model_cases import case_named

ROOT = Path(__file__).resolve().parents[2]
HEADER = ROOT / "cpp/include/dynbatch/acl.h"
FLOAT = 11  # NumPy's number of float32


@pytest.fixture
def world() -> Iterator[None]:
    checked(acl.init())
    checked(acl.rt.set_device(0))
    yield
    checked(acl.rt.reset_device(0))
    checked(acl.finalize())
    assert acl.native.live_handles() == 0


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models with gears of each kind, whose answers are their inputs' own."""
    folder = tmp_path_factory.mktemp("gears")
    all_kinds: list[tuple[str, str, str, list[tuple[int, ...]]]] = [
        ("batch", "batch", "free_named", [(4,), (1,), (8,), (2,)]),
        ("image", "image_size", "free_image", [(4, 6), (2, 3)]),
        ("dims", "dims", "free_named", [(1, 3, 2), (2, 5, 1)]),
    ]
    for name, kind, case, gears in all_kinds:
        source = folder / f"{name}.onnx"
        source.write_bytes(case_named(case).build().SerializeToString())
        with_gears(source, folder / f"{name}.om", kind, shapes_of(source, kind), gears)
    return folder


def shapes_of(path: Path, kind: str) -> dict[str, tuple[int, ...]]:
    """Of kind batch one -1 each, in front; of image_size a batch of 1; of dims all that is free."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    shapes = {}
    for entry in session.get_inputs():
        dims = [-1 if isinstance(dim, str) or dim is None else dim for dim in entry.shape]
        if kind == "batch":
            dims[1:] = [3 if dim == -1 else dim for dim in dims[1:]]
        if kind == "image_size":
            dims[0] = 1
        shapes[entry.name] = tuple(dims)
    return shapes


@pytest.fixture
def batch(world: None, files: Path) -> Iterator[int]:
    model, code = acl.mdl.load_from_file(str(files / "batch.om"))
    checked(code)
    yield model
    checked(acl.mdl.unload(model))


@pytest.fixture
def desc(batch: int) -> Iterator[int]:
    desc = acl.mdl.create_desc()
    checked(acl.mdl.get_desc(desc, batch))
    yield desc
    checked(acl.mdl.destroy_desc(desc))


def test_the_package_alone_does_not_load_the_library() -> None:
    program = (
        "import dynbatch\n"
        "assert not any('libdynbatch_acl' in line for line in open('/proc/self/maps'))\n"
        "from dynbatch import acl\n"
        "assert any('libdynbatch_acl' in line for line in open('/proc/self/maps'))\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_core_has_none_of_the_names() -> None:
    names = re.findall(r"^DYNBATCH_ACL_EXPORT [^;(]*?(\w+)\(", HEADER.read_text(), re.MULTILINE)
    assert len(names) > 70
    folder = Path(dynbatch.__file__).parent / "lib"
    core = ctypes.CDLL(str(folder / "libdynbatch.so.0"))
    shim = ctypes.CDLL(str(folder / "libdynbatch_acl.so.0"))
    assert [name for name in names if hasattr(core, name)] == []
    assert [name for name in names if not hasattr(shim, name)] == []


def test_run_mode_is_told_before_init() -> None:
    assert acl.rt.get_run_mode() == (1, 0)


def test_repeated_init_and_finalize_have_codes_of_their_own() -> None:
    assert acl.init() == 0
    assert acl.init("") == 100002
    assert acl.finalize() == 0
    assert acl.finalize() == 100037


def test_devices_contexts_and_streams(world: None) -> None:
    assert acl.rt.get_device_count() == (1, 0)
    assert acl.rt.set_device(1) == 107000
    first, code = acl.rt.get_context()
    checked(code)
    context, code = acl.rt.create_context(0)
    checked(code)
    assert acl.rt.get_context() == (context, 0)
    checked(acl.rt.set_context(first))
    checked(acl.rt.destroy_context(context))
    stream, code = acl.rt.create_stream()
    checked(code)
    checked(acl.rt.synchronize_stream(stream))
    checked(acl.rt.synchronize_device())
    checked(acl.rt.destroy_stream(stream))
    assert acl.rt.destroy_stream(stream) == 100000


def test_memory_goes_there_and_back(world: None) -> None:
    source = np.arange(6, dtype=np.float32)
    device, code = acl.rt.malloc(24, 0)
    checked(code)
    host, code = acl.rt.malloc_host(24)
    checked(code)
    checked(acl.rt.memcpy(device, 24, acl.util.numpy_to_ptr(source), 24, 1))
    checked(acl.rt.memcpy(host, 24, device, 24, 2))
    array = acl.util.ptr_to_numpy(host, (2, 3), FLOAT)
    np.testing.assert_array_equal(array, source.reshape(2, 3))
    assert acl.util.ptr_to_bytes(host + 4, 4) == source[1:2].tobytes()
    checked(acl.rt.memset(device, 24, 0, 8))
    checked(acl.rt.memcpy(host, 24, device, 24, 2))
    assert array.ravel().tolist() == [0, 0, 2, 3, 4, 5]
    assert acl.rt.memcpy(host, 8, device, 24, 2) == 107000
    checked(acl.rt.free(device))
    assert acl.rt.free(device) == 100000
    checked(acl.rt.free_host(host))


def test_bytes_are_written_through_their_own_address() -> None:
    assert "bytes_to_ptr" in dir(acl.util)
    payload = bytes(bytearray(8))
    target = acl.util.bytes_to_ptr(payload)
    checked(acl.rt.memset(target, 8, ord("a"), 8))
    assert bytearray(payload) == b"aaaaaaaa"


def test_what_has_no_address_is_refused() -> None:
    with pytest.raises(ValueError, match="contiguous"):
        acl.util.numpy_to_ptr(np.zeros((4, 4))[:, ::2])
    with pytest.raises(ValueError, match="got 0"):
        acl.util.ptr_to_numpy(0, (1,), FLOAT)
    with pytest.raises(ValueError, match="got 0"):
        acl.util.ptr_to_bytes(0, 1)


def test_buffers_and_datasets(world: None) -> None:
    array = np.zeros(4, np.float32)
    buffer = acl.create_data_buffer(acl.util.numpy_to_ptr(array), 16)
    assert acl.get_data_buffer_addr(buffer) == array.ctypes.data
    checked(acl.update_data_buffer(buffer, array.ctypes.data + 4, 8))
    assert acl.get_data_buffer_size(buffer) == acl.get_data_buffer_size_v2(buffer) == 8
    dataset = acl.mdl.create_dataset()
    assert acl.mdl.add_dataset_buffer(dataset, buffer) == (dataset, 0)
    assert acl.mdl.get_dataset_num_buffers(dataset) == 1
    assert acl.mdl.get_dataset_buffer(dataset, 0) == buffer
    assert acl.mdl.get_dataset_buffer(dataset, 1) == 0
    assert acl.mdl.set_dataset_tensor_desc(dataset, 0, 0) == 200001
    checked(acl.destroy_data_buffer(buffer))
    checked(acl.mdl.destroy_dataset(dataset))
    assert acl.mdl.destroy_dataset(dataset) == 100000
    assert acl.data_type_size(9) == 8
    assert acl.data_type_size(1000) == 0


def test_a_description_is_of_pyacls_form(desc: int) -> None:
    assert acl.mdl.get_num_inputs(desc) == 2
    dims, code = acl.mdl.get_input_dims(desc, 0)
    assert (dims["dimCount"], dims["dims"][0], code) == (len(dims["dims"]), -1, 0)
    assert acl.mdl.get_input_index_by_name(desc, dims["name"]) == (0, 0)
    assert acl.mdl.get_input_index_by_name(desc, "ascend_mbatch_shape_data") == (1, 0)
    assert acl.mdl.get_input_index_by_name(desc, "none") == (0, 100000)
    assert acl.mdl.get_dynamic_batch(desc) == ({"batchCount": 4, "batch": [4, 1, 8, 2]}, 0)
    assert acl.mdl.get_dynamic_hw(desc, -1) == ({"hwCount": 0, "hw": []}, 0)
    assert acl.mdl.get_input_dynamic_gear_count(desc, -1) == (0, 0)
    assert acl.mdl.get_input_dims(desc, 9) == ({}, 100000)
    assert acl.mdl.get_input_size_by_index(desc, 1) == 4
    assert acl.mdl.get_input_data_type(desc, 1) == 3
    assert acl.mdl.get_input_name_by_index(desc, 9) == ""
    assert acl.mdl.get_input_format(desc, 9) == -1


def test_gears_of_the_other_kinds_are_told(world: None, files: Path) -> None:
    desc = acl.mdl.create_desc()
    image, code = acl.mdl.load_from_file(str(files / "image.om"))
    checked(code)
    checked(acl.mdl.get_desc(desc, image))
    assert acl.mdl.get_dynamic_hw(desc, 0) == ({"hwCount": 2, "hw": [[4, 6], [2, 3]]}, 0)
    dims, code = acl.mdl.load_from_file(str(files / "dims.om"))
    checked(code)
    checked(acl.mdl.get_desc(desc, dims))
    assert acl.mdl.get_input_dynamic_gear_count(desc, -1) == (2, 0)
    gears = [{"name": "", "dimCount": 3, "dims": dims} for dims in ([1, 3, 2], [2, 5, 1])]
    assert acl.mdl.get_input_dynamic_dims(desc, -1, 2) == (gears, 0)
    assert acl.mdl.get_input_dynamic_dims(desc, -1, 1) == ([], 100000)
    checked(acl.mdl.destroy_desc(desc))
    checked(acl.mdl.unload(image))
    checked(acl.mdl.unload(dims))


def test_a_model_loads_from_memory_and_with_memory(world: None, files: Path) -> None:
    path = str(files / "batch.om")
    payload = Path(path).read_bytes()
    work, weight, code = acl.mdl.query_size(path)
    checked(code)
    assert weight == len(payload)
    pointer = acl.util.bytes_to_ptr(payload)
    assert acl.mdl.query_size_from_mem(pointer, len(payload)) == (work, weight, 0)
    work_ptr, code = acl.rt.malloc(work, 0)
    checked(code)
    for model, code in [
        acl.mdl.load_from_mem(pointer, len(payload)),
        acl.mdl.load_from_file_with_mem(path, work_ptr, work, 0, 0),
        acl.mdl.load_from_mem_with_mem(pointer, len(payload), work_ptr, work, 0, 0),
    ]:
        checked(code)
        assert model >= 1
        checked(acl.mdl.unload(model))
    assert acl.mdl.load_from_file_with_mem(path, work_ptr, 1, 0, 0) == (0, 145000)
    assert acl.mdl.load_from_file("/nowhere.om") == (0, 145002)
    checked(acl.rt.free(work_ptr))


def test_dims_of_another_form_are_refused(world: None, files: Path) -> None:
    model, code = acl.mdl.load_from_file(str(files / "dims.om"))
    checked(code)
    inputs = Buffers([1000, 8])
    forms: list[Any] = [{}, {"dims": []}, {"dims": [1] * 200}, {"dims": None}, {"dims": ["a"] * 3}]
    for dims in [*forms, {"dimCount": 1, "dims": [1, 2, 3]}]:
        assert acl.mdl.set_input_dynamic_dims(model, inputs.handle, 1, dims) == 145012
    inputs.close()
    checked(acl.mdl.unload(model))


def test_aipp_is_refused_plainly(batch: int) -> None:
    inputs = Buffers([96, 4])
    aipp = acl.mdl.create_aipp(8)
    assert acl.mdl.set_input_aipp(batch, inputs.handle, 0, aipp) == 145015
    assert "AIPP" in acl.get_recent_err_msg()
    checked(acl.mdl.destroy_aipp(aipp))
    inputs.close()


def test_a_gear_is_found_for_rows(batch: int) -> None:
    assert acl.native.gear_for_rows(batch, 3) == (4, 0)
    assert acl.native.gear_for_rows(batch, 3, 2) == (2, 0)
    assert acl.native.gear_for_rows(batch, 9) == (0, 145013)
    assert acl.native.gear_for_rows(batch, 3, 77) == (0, 100000)


def test_a_gear_that_is_set_stays_until_the_next(world: None, files: Path, tmp_path: Path) -> None:
    source = files / "batch.onnx"
    file = with_gears(source, tmp_path / "m.om", "batch", shapes_of(source, "batch"), [(1,), (2,)])
    loaded = Loaded(file)
    in_sizes, out_sizes = loaded.sizes()
    inputs, outputs = Buffers(in_sizes), Buffers(out_sizes)
    checked(loaded.set_gear(inputs.handle, (1,)))
    for _ in range(3):
        checked(acl.mdl.execute(loaded.id, inputs.handle, outputs.handle))
    assert loaded.output_dims(inputs.handle)[0][0] == 1
    inputs.close()
    outputs.close()
    loaded.close()


def test_one_gear_drives_all_inputs(world: None, tmp_path: Path) -> None:
    shapes: dict[str, list[str | int | None]] = {
        "data": ["n", 3, 416, 416],
        "img_info": ["n", 4],
    }
    infos = {name: [helper.make_tensor_value_info(name, 1, dims)] for name, dims in shapes.items()}
    outs = [helper.make_tensor_value_info(f"{name}_out", 1, dims) for name, dims in shapes.items()]
    nodes = [helper.make_node("Neg", [name], [f"{name}_out"]) for name in shapes]
    graph = helper.make_graph(nodes, "two", infos["data"] + infos["img_info"], outs)
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), tmp_path / "two.onnx")
    dynbatch.compile(
        tmp_path / "two.onnx",
        output=tmp_path / "two",
        input_shape="data:-1,3,416,416;img_info:-1,4",
        dynamic_batch_size="1,2,4,8",
    )
    model, code = acl.mdl.load_from_file(str(tmp_path / "two.om"))
    checked(code)
    desc = acl.mdl.create_desc()
    checked(acl.mdl.get_desc(desc, model))
    assert acl.mdl.get_dynamic_batch(desc) == ({"batchCount": 4, "batch": [1, 2, 4, 8]}, 0)
    image = 4 * 3 * 416 * 416
    sizes = [acl.mdl.get_input_size_by_index(desc, i) for i in range(acl.mdl.get_num_inputs(desc))]
    assert sizes == [8 * image, 8 * 16, 4]
    assert acl.mdl.get_input_index_by_name(desc, "ascend_mbatch_shape_data") == (2, 0)
    inputs, outputs = Buffers([2 * image, 2 * 16, 4]), Buffers([2 * image, 2 * 16])
    checked(acl.mdl.set_dynamic_batch_size(model, inputs.handle, 2, 2))
    checked(acl.mdl.execute(model, inputs.handle, outputs.handle))
    dims = [acl.mdl.get_cur_output_dims(desc, i)[0]["dims"] for i in range(2)]
    assert dims == [[2, 3, 416, 416], [2, 4]]
    inputs.close()
    outputs.close()
    checked(acl.mdl.destroy_desc(desc))
    checked(acl.mdl.unload(model))


SCRIPT = """
import json, sys
import acl
import acl.mdl, acl.rt
import neighbour
assert acl.init() == 0
model, ret = acl.mdl.load_from_file(sys.argv[1])
print(json.dumps([__name__, sys.argv[1:], model, ret, neighbour.NAME]))
assert acl.mdl.unload(model) == 0
sys.exit(acl.finalize() + 3)
"""


def test_a_script_that_imports_acl_runs_unchanged(files: Path, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "neighbour.py").write_text("NAME = 'beside it'")
    model = str(files / "batch.om")
    result = subprocess.run(
        [sys.executable, "-m", "dynbatch.acl", str(tmp_path / "script.py"), model, "--flag"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 3, result.stderr
    assert json.loads(result.stdout) == ["__main__", [model, "--flag"], 1, 0, "beside it"]


@pytest.mark.parametrize(
    ("script", "model", "printed"),
    [
        ("dynamic_batch.py", "batch.om", "gear 4: output [4, "),
        ("image_size.py", "image.om", "gear 4 x 6: output [1, "),
        ("dims.py", "dims.om", "gear [1, 3, 2]: output [1, 3, 2]"),
    ],
)
def test_examples_run(files: Path, script: str, model: str, printed: str) -> None:
    command = [sys.executable, "-m", "dynbatch.acl", str(ROOT / "examples/acl" / script)]
    result = subprocess.run(
        [*command, str(files / model)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert printed in result.stdout


def test_the_published_sequence_leaves_nothing(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # In this process, where tests/python/leak_check.py looks.
    script = ROOT / "examples/acl/dynamic_batch.py"
    monkeypatch.setitem(sys.modules, "acl", acl)
    monkeypatch.setattr(sys, "argv", [str(script), str(files / "batch.om")])
    runpy.run_path(str(script), run_name="__main__")
    assert "gear 4" in capsys.readouterr().out
    assert acl.native.live_handles() == 0


def test_script_may_end_with_queued_work() -> None:
    lines = [
        "import numpy as np",
        "from dynbatch import acl",
        "assert acl.init() == 0 and acl.rt.set_device(0) == 0",
        "stream, ret = acl.rt.create_stream()",
        "a, b = np.ones(1 << 23, np.uint8), np.zeros(1 << 23, np.uint8)",
        "to, of = acl.util.numpy_to_ptr(b), acl.util.numpy_to_ptr(a)",
        "for _ in range(50):",
        "    assert acl.rt.memcpy_async(to, b.nbytes, of, a.nbytes, 0, stream) == 0",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
