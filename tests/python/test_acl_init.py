"""What dynbatch.acl begins with: codes, a configuration, and the ONNX Runtime that it takes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from acl_models import checked
from dynbatch import ModelError, _onnxruntime, acl

HEADER = Path(__file__).resolve().parents[2] / "cpp/include/dynbatch/acl.h"


@pytest.fixture
def any_runtime() -> Iterator[None]:
    yield
    acl.finalize()
    checked(acl.native.set_runtime_library(""))


def save_constant_sum(path: Path, **options: Any) -> None:
    """A sum of x and w, of which w has 64 bytes."""
    weight = numpy_helper.from_array(np.ones(16, np.float32), "w")
    infos = [helper.make_tensor_value_info(name, 1, [16]) for name in "xy"]
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    graph = helper.make_graph(nodes, "sum", infos[:1], infos[1:], [weight])
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path, **options)


def test_codes_have_the_names_and_values_of_the_header() -> None:
    defined = re.findall(r"#define (ACL_(?:SUCCESS|ERROR_\w+)) (\d+)", HEADER.read_text())
    told = {name: getattr(acl, name) for name in acl.__all__ if name.isupper()}
    assert told == {name: int(value) for name, value in defined}


def test_a_configuration_that_is_no_file_has_a_code(tmp_path: Path) -> None:
    assert acl.init(str(tmp_path)) == acl.ACL_ERROR_INVALID_FILE
    os.mkfifo(tmp_path / "pipe")
    assert acl.init(str(tmp_path / "pipe")) == acl.ACL_ERROR_INVALID_FILE
    assert "expected a file" in acl.get_recent_err_msg()


def test_init_leaves_a_runtime_library_that_was_chosen(any_runtime: None, tmp_path: Path) -> None:
    save_constant_sum(tmp_path / "model.onnx")
    checked(acl.native.set_runtime_library("/nowhere/libonnxruntime.so"))
    checked(acl.init())
    assert acl.mdl.load_from_file(str(tmp_path / "model.onnx")) == (0, 145006)
    assert "/nowhere/libonnxruntime.so" in acl.get_recent_err_msg()


def test_init_answers_with_a_code_where_nothing_is_installed(
    any_runtime: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def library_path() -> str:
        raise ModelError("ONNX Runtime is not installed")

    monkeypatch.setattr(_onnxruntime, "library_path", library_path)
    with pytest.warns(RuntimeWarning, match="ONNX Runtime is not installed"):
        assert acl.init() == 0
    with pytest.warns(RuntimeWarning, match="ONNX Runtime is not installed"):
        assert acl.init() == 100002


def test_the_weight_size_counts_data_files(any_runtime: None, tmp_path: Path) -> None:
    checked(acl.init())
    path = tmp_path / "model.onnx"
    save_constant_sum(path, save_as_external_data=True, location="w.bin", size_threshold=0)
    graph, data = path.stat().st_size, (tmp_path / "w.bin").stat().st_size
    assert data >= 64
    assert acl.mdl.query_size(str(path)) == (128, graph + data, 0)
    given = np.zeros(graph + data, np.uint8)
    memory = acl.util.numpy_to_ptr(given)
    assert acl.mdl.load_from_file_with_mem(str(path), 0, 0, memory, graph) == (0, 145000)
    model, code = acl.mdl.load_from_file_with_mem(str(path), 0, 0, memory, given.nbytes)
    checked(code)
    checked(acl.mdl.unload(model))
