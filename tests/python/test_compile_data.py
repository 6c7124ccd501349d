"""Models that keep their weights apart: the data files go with what is compiled."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import dynbatch
from compile_models import external_model


def compiled(model: Path, output: Path) -> dynbatch.CompileResult:
    return dynbatch.compile(model, output=output, input_shape="x:-1,3", dynamic_batch_size="1,2")


def test_weights_that_are_kept_apart_stay_beside_the_file(tmp_path: Path) -> None:
    model = external_model(tmp_path)
    (tmp_path / "other").mkdir()
    x = np.ones((2, 3), np.float32)
    expected = onnxruntime.InferenceSession(model).run(None, {"x": x})[0]
    beside = compiled(model, tmp_path / "m")
    assert beside.warnings == ()
    with pytest.warns(RuntimeWarning, match=r"copied to .*weights\.bin"):
        apart = compiled(model, tmp_path / "other/m")
    for result in (beside, apart):
        onnx.checker.check_model(str(result.output))
        with dynbatch.load(result.output) as loaded:
            np.testing.assert_array_equal(loaded.run(None, {"x": x})[0], expected)
    with pytest.raises(dynbatch.ModelError, match="data file of the model"):
        compiled(model, tmp_path / "weights.bin")
    kept = (tmp_path / "other/weights.bin").read_bytes()
    (tmp_path / "third").mkdir()
    with pytest.raises(dynbatch.ModelError, match="data file of the model"):
        compiled(model, tmp_path / "third/weights.bin")
    assert list((tmp_path / "third").iterdir()) == []
    (tmp_path / "other/weights.bin").write_bytes(kept[::-1])  # as large, and other weights
    with pytest.raises(dynbatch.ModelError, match="another file is there"):
        compiled(model, tmp_path / "other/m")


COMPILE_UNDER_A_LIMIT = """
import resource, signal, sys
import dynbatch

model, output = sys.argv[1:]
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python ignores it
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
dynbatch.compile(model, output=output, input_shape="x:-1,3", dynamic_batch_size="1,2")
"""


@pytest.mark.no_asan  # another program is started
@pytest.mark.filterwarnings("ignore:the model's data file")
def test_a_copy_that_is_cut_short_is_in_nobodys_way(tmp_path: Path) -> None:
    model = external_model(tmp_path)  # of 1200 bytes of weights
    other = tmp_path / "other"
    other.mkdir()
    script = [sys.executable, "-c", COMPILE_UNDER_A_LIMIT, str(model), str(other / "m")]
    done = subprocess.run(script, check=False, timeout=120)
    assert done.returncode == -signal.SIGXFSZ
    assert not (other / "weights.bin").exists()
    dynbatch.compile(model, output=other / "m", input_shape="x:-1,3", dynamic_batch_size="1,2")
    assert (other / "weights.bin").read_bytes() == (tmp_path / "weights.bin").read_bytes()
