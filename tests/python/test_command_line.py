"""The command `dynbatch`: compile, inspect, and where the C++ package is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dynbatch
from dynbatch._advice import batch_advice

# Other programs are started here.
pytestmark = pytest.mark.no_asan


def command(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "160"}
    return subprocess.run(
        [sys.executable, "-m", "dynbatch", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=env,
    )


def test_compile_writes_a_model_and_shows_its_gears(
    models: dict[str, Path], tmp_path: Path
) -> None:
    done = command(
        "compile",
        models["mlp"],
        "--input_shape=x:-1,256",
        "--dynamic_batch_size=4,1",
        "--output=model",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "wrote model.om" in done.stdout
    assert "rows: independent" in done.stdout
    assert re.search(r"4 │ x:4,256 +│ y:4,256 +│ +4.0 KiB", done.stdout), done.stdout
    assert "gear 1: " in done.stdout
    with dynbatch.load(tmp_path / "model.om") as model:
        assert [gear.batch_size for gear in model.gears.gears] == [4, 1]


def test_compile_takes_a_command_line_of_atc(models: dict[str, Path], tmp_path: Path) -> None:
    done = command(
        "compile",
        f"--model={models['free_named']}",
        "--framework=5",
        "--input_format=ND",
        "--input_shape=x:-1,-1,8",
        "--dynamic_dims=1,4;2,8",
        "--output=net.onnx",
        "--soc_version=Chip310",
        "--log=error",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    for option in ("--framework", "--soc_version", "--log"):
        assert f"{option} is ignored" in done.stderr
    with dynbatch.load(tmp_path / "net.onnx") as model:
        assert [(gear.batch_size, *gear.sizes) for gear in model.gears.gears] == [(1, 4), (2, 8)]


def test_compile_binds_dimensions_by_name(models: dict[str, Path], tmp_path: Path) -> None:
    done = command(
        "compile",
        models["free_named"],
        "--dimension",
        "batch=2",
        "--dimension",
        "height=3",
        "--dimension",
        "width=4",
        "--output=fixed",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert "x:2,3,4" in done.stdout


@pytest.mark.parametrize(
    ("code", "option", "arguments"),
    [
        ("E10035", "dynamic_batch_size", ["--input_shape=x:-1,256", "--dynamic_batch_size=1"]),
        ("E10004", "output", ["--output="]),
        ("E10001", "dimension", ["--dimension=sequence"]),
        ("E10001", "dimension", ["--dimension=batch=99999999999999999999999"]),
        ("E10001", "dimension", ["--dimension=batch=" + 5000 * "9"]),
        ("E10001", "dimension", ["--dimension=batch=\u0663"]),
        ("E10001", "dimension", ["--dimension=batch=1", "--dimension=batch=2"]),
        ("E10001", "framework", ["--framework=1"]),
        ("E10001", "insert_op_conf", ["--insert_op_conf=aipp.cfg"]),
    ],
)
def test_errors_name_code_and_option(
    models: dict[str, Path], tmp_path: Path, code: str, option: str, arguments: list[str]
) -> None:
    if option != "output":
        arguments = [*arguments, "--output=m"]
    done = command("compile", models["mlp"], *arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert f"error: {code}: --{option}: expected " in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_model_is_named_once(models: dict[str, Path], tmp_path: Path) -> None:
    done = command("compile", models["mlp"], f"--model={models['mlp']}", "--output=m", cwd=tmp_path)
    assert done.returncode == 1
    assert "E10058: --model" in done.stderr


def test_a_model_without_a_name_is_refused(tmp_path: Path) -> None:
    for arguments in (["--model="], [""]):
        done = command("compile", *arguments, "--output=m", cwd=tmp_path)
        assert done.returncode == 1
        assert "error: E10004: --model: expected a value" in done.stderr


def test_inspect_tells_about_any_model(models: dict[str, Path], tmp_path: Path) -> None:
    done = command("inspect", models["two_inputs"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "rows independent: yes" in done.stdout
    assert "compiled gears: none" in done.stdout
    assert "memory plan: " in done.stdout
    mixing = command("inspect", models["softmax_axis0"], cwd=tmp_path)
    assert "rows independent: no" in mixing.stdout
    assert mixing.stderr == ""


def test_inspect_tells_compiled_gears(models: dict[str, Path], tmp_path: Path) -> None:
    dynbatch.compile(
        models["mlp"],
        output=tmp_path / "m",
        input_shape="x:-1,256",
        dynamic_batch_size=[8, 2],
    )
    done = command("inspect", "m.om", cwd=tmp_path)
    assert "compiled gears: batch size: 8; 2" in done.stdout


def test_inspect_tells_what_only_gear_calls_can_run(
    models: dict[str, Path], tmp_path: Path
) -> None:
    done = command("inspect", models["static_leading_one"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "batched by load(): no: " in done.stdout


def test_inspect_of_no_model_is_an_error(tmp_path: Path) -> None:
    done = command("inspect", "nowhere.onnx", cwd=tmp_path)
    assert done.returncode == 1
    assert "nowhere.onnx" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_extra_the_error_names_it(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "sys.modules['typer'] = None\n"
        "sys.argv = ['dynbatch', 'inspect', 'm.onnx']\n"
        "from dynbatch.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 1
    assert "pip install dynbatch[cli]" in done.stderr
    assert "Traceback" not in done.stderr


def test_gears_earn_their_place_by_time() -> None:
    assert batch_advice([1, 2, 4], [1.0, 1.2, 1.3]) == [
        "keep: the smallest",
        "keep: 1.67 x as fast as runs of 1",
        "keep: 1.85 x as fast as runs of 2",
    ]
    assert batch_advice([4, 1], [4.1, 1.0]) == [
        "drop: 4 runs of 1 take no longer",
        "keep: the smallest",
    ]
    assert batch_advice([1, 2], [1.0, 1.01])[0] == "drop: 2 takes no longer"
    assert batch_advice([1, 2], [0.0, 1.0])[0] == "not measured"
    assert batch_advice([3], [1.0]) == ["keep"]


def test_answers_of_a_compiled_model_are_those_of_the_model(
    models: dict[str, Path], tmp_path: Path
) -> None:
    result = dynbatch.compile(
        models["mlp"], output=tmp_path / "m", input_shape="x:-1,256", dynamic_batch_size=[2, 4]
    )
    x = np.random.default_rng(0).standard_normal((3, 256)).astype(np.float32)
    with dynbatch.load(models["mlp"]) as plain, dynbatch.load(result.output) as compiled:
        np.testing.assert_allclose(
            compiled.run(None, {"x": x})[0], plain.run(None, {"x": x})[0], rtol=1e-5, atol=1e-6
        )
