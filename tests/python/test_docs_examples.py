"""What README.md, CONTRIBUTING.md and docs/ show is run, compiled, or held against the sources."""

from __future__ import annotations

import inspect
import json
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import dynbatch
from model_cases import case_named

# Other programs are started here, such as make, which has faults of its own that are reported.
pytestmark = pytest.mark.no_asan

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

# Models that the pages name, and the test models that stand for them.
MODELS = {
    "model.onnx": "mlp",
    "image.onnx": "free_named_alike",
    "rec.onnx": "free_named_alike",
    "shared.onnx": "shared_matrix",
    "fixed.onnx": "fixed_batch",
    "mixing.onnx": "softmax_axis0",
    "gather.onnx": "guarded_gather",
    "text.onnx": "free_sequence",
    "photo.onnx": "free_image",
    "state.onnx": "axis_one",
    "pairs.onnx": "two_rows_per_row",
    "ragged.onnx": "ragged_identity_float32",
}

# What a page takes for granted before its first example.
PREAMBLES = {
    "docs/demo.md": "import dynbatch, numpy\nrow = numpy.zeros((1, 3, 48, 320), numpy.float32)\n"
}

# Runs the examples of a page one after another in one namespace, and keeps what each prints.
RUNNER = """
import contextlib, io, json, sys
namespace = {"__name__": "__main__"}
printed = []
for name, line, code in json.load(open(sys.argv[1])):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile("\\n" * line + code, name, "exec"), namespace)
    printed.append(out.getvalue())
json.dump(printed, open(sys.argv[2], "w"))
"""


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `line` is that of its opening fence."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    fence = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
    return [
        Block(
            name_of(page),
            text.count("\n", 0, match.start()) + 1,
            match[2].strip(),
            textwrap.dedent(match[3]),
        )
        for match in fence.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def blocks_in(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def run(command: list[str | Path], cwd: Path, env: dict[str, str] | None = None) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name, case in MODELS.items():
        (folder / name).write_bytes(case_named(case).build().SerializeToString())
    return folder


def test_pages_are_there() -> None:
    assert {"README.md", "CONTRIBUTING.md", "docs/architecture.md"} <= {*map(name_of, PAGES)}


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    known = {"python", "console", "sh", "cpp", "cmake", "text"}
    assert [str(block) for block in BLOCKS if block.language not in known] == []


@pytest.mark.parametrize("page", sorted({block.page for block in blocks_in("python")}))
def test_python_blocks_run(page: str, models: Path, tmp_path: Path) -> None:
    blocks = [block for block in BLOCKS if block.page == page]
    examples = [block for block in blocks if block.language == "python"]
    programs = [(block.page, block.line, block.text) for block in examples]
    if page in PREAMBLES:
        programs.insert(0, ("preamble", 0, PREAMBLES[page]))
    given, printed = tmp_path / "given.json", tmp_path / "printed.json"
    given.write_text(json.dumps(programs))
    run([sys.executable, "-c", RUNNER, given, printed], cwd=models)
    outputs: list[str] = json.loads(printed.read_text())[-len(examples) :]
    for example, output in zip(examples, outputs, strict=True):
        after = blocks.index(example) + 1
        shown = (
            blocks[after].text if after < len(blocks) and blocks[after].language == "text" else ""
        )
        assert output.strip() == shown.strip(), (
            f"{example} prints something else than the page shows"
        )


@pytest.mark.parametrize(
    "script", sorted((ROOT / "examples/python").glob("*.py")), ids=lambda p: p.name
)
def test_python_examples_run(script: Path, models: Path) -> None:
    takes_model = "sys.argv" in script.read_text(encoding="utf-8")
    model = "text.onnx" if script.name == "shapes.py" else "model.onnx"
    assert run([sys.executable, script, *([model] if takes_model else [])], cwd=models).strip()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_demo_runs(tmp_path: Path) -> None:
    printed = run([sys.executable, ROOT / "examples/demo", "--quick"], cwd=tmp_path)
    assert "All answers are right" in printed


def excerpts(block: Block) -> Iterator[str]:
    """The parts of a block that stand together in its source; `// ...` is for what is between."""
    for part in re.split(r"^// \.\.\.\n", block.text, flags=re.MULTILINE):
        yield textwrap.dedent(part).strip("\n")


def is_excerpt(part: str, source: str) -> bool:
    wanted = part.splitlines()
    lines = source.splitlines()
    return any(
        textwrap.dedent("\n".join(lines[first : first + len(wanted)])) == part
        for first in range(len(lines) - len(wanted) + 1)
    )


@pytest.mark.parametrize("block", blocks_in("cpp", "cmake"), ids=str)
def test_cpp_blocks_are_excerpts_of_compiled_files(block: Block) -> None:
    # tests/install builds examples/cpp and runs the programs, the C++ tests those of examples/acl.
    pattern = "*.c*" if block.language == "cpp" else "CMakeLists.txt"
    sources = [path.read_text("utf-8") for path in (ROOT / "examples").rglob(pattern)]
    for part in excerpts(block):
        assert any(is_excerpt(part, source) for source in sources), part


def commands_of(block: Block) -> Iterator[str]:
    for line in block.text.splitlines():
        command = re.sub(r"\s+#.*", "", line).strip()
        if command:
            yield command


def presets(kind: str) -> set[str]:
    entries = json.loads((ROOT / "CMakePresets.json").read_text(encoding="utf-8"))[kind]
    return {entry["name"] for entry in entries if not entry.get("hidden", False)}


def check_command(command: str, models: Path) -> None:
    words = shlex.split(command)
    if words[0] == "make":
        run(["make", "--dry-run", *words[1:]], cwd=ROOT)
    elif words[0] in ("cmake", "ctest") and "--preset" in words:
        kind = {"ctest": "testPresets"}.get(words[0], "configurePresets")
        kind = "buildPresets" if "--build" in words else kind
        assert words[words.index("--preset") + 1] in presets(kind)
    elif words[0].endswith("pip") and words[1] == "install":
        # A dry run: tests/install installs what it says.
        options = ["--dry-run", "--no-deps", "--no-build-isolation", "--quiet"]
        run([sys.executable, "-m", "pip", "install", *options, *words[2:]], cwd=ROOT)
    elif words[0].endswith("python") and words[1:3] == ["-m", "pytest"]:
        assert all((ROOT / path).exists() for path in words[3:])
    elif words[0] == "dynbatch":
        run([sys.executable, "-m", *words], cwd=models)
    else:
        pytest.fail(f"nothing tests the command {command!r}")


@pytest.mark.parametrize(
    "command",
    sorted(
        {
            command
            for block in blocks_in("console", "sh")
            if block.page != "docs/cpp-api.md"
            for command in commands_of(block)
        }
    ),
)
def test_commands_exist(command: str, models: Path) -> None:
    check_command(command, models)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_commands_of_the_cpp_page_build_and_run(models: Path, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    for name in ("CMakeLists.txt", "cpp", "examples", "python"):
        (checkout / name).symlink_to(ROOT / name)
    blocks = [block for block in blocks_in("console") if block.page == "docs/cpp-api.md"]
    assert blocks
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PREFIX": str(tmp_path / "prefix"),
        "MODEL": str(models / "model.onnx"),
    }
    script = "set -eu\n" + "".join(block.text for block in blocks)
    printed = run(["bash", "-c", script], cwd=checkout, env=env)
    assert "a bad row ends with execution" in printed


def links_of(page: Path) -> list[str]:
    text = re.sub(
        r"^( *)```.*?^\1```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE
    )
    links = re.findall(r"\]\(([^)]+)\)", text)
    return [link for link in links if not link.startswith(("http://", "https://"))]


def anchors_of(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    assert broken == []


# The folder map of CONTRIBUTING.md also holds places for what is to come.
@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "CONTRIBUTING.md"], ids=name_of
)
def test_named_files_exist(page: Path) -> None:
    folders = r"(?:cpp|python|tests|docs|examples|bench|third_party)"
    named = re.findall(rf"`({folders}/[\w./-]*)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_names_of_the_concurrency_page_are_those_of_the_sources() -> None:
    page = (ROOT / "docs/concurrency.md").read_text(encoding="utf-8")
    sources = "".join(
        path.read_text("utf-8")
        for folder in ("cpp/src", "cpp/include", "tests/model")
        for path in (ROOT / folder).rglob("*.?pp")
    )
    words = set(re.findall(r"\w+", sources))
    named = re.findall(r"`(?:\w+::)*(\w+)(?:\(\))?`", page)
    assert len(named) > 50
    assert sorted(name for name in set(named) if name not in words) == []


def test_options_of_load_are_those_of_the_page() -> None:
    page = (ROOT / "docs/python-api.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `([a-z]\w+)` \| `([^`]+)` \|", page, flags=re.MULTILINE))
    parameters = inspect.signature(dynbatch.load).parameters.values()
    options = {
        each.name: repr(each.default) for each in parameters if each.kind is each.KEYWORD_ONLY
    }
    assert table == options


def test_errors_of_the_page_are_those_of_the_package() -> None:
    page = (ROOT / "docs/python-api.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\| [^|]+ \|$", page, flags=re.MULTILINE)
    named = {name: also for name, also in rows if name[0].isupper()}
    classes = {
        name: getattr(dynbatch, name)
        for name in dynbatch.__all__
        if inspect.isclass(getattr(dynbatch, name))
        and issubclass(getattr(dynbatch, name), dynbatch.Error)
    }
    assert set(named) == set(classes) - {"Error"}
    for name, also in named.items():
        bases = {f"{base.__module__}.{base.__qualname__}" for base in classes[name].__mro__}
        bases = {base.removeprefix("builtins.") for base in bases}
        bases = {base.replace("concurrent.futures._base.", "concurrent.futures.") for base in bases}
        assert not also or also.strip("`") in bases, f"{name}: {also}"


def test_figures_of_the_readme_are_those_of_the_benchmarks() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    match = re.search(r"<!-- figures: [^>]*-->\n(.*?)<!-- /figures -->", readme, flags=re.DOTALL)
    assert match is not None
    rows = [line for line in match[1].splitlines() if re.match(r"\|.*\d", line)]
    assert rows
    report = (ROOT / "bench/README.md").read_text(encoding="utf-8").splitlines()
    assert [row for row in rows if row not in report] == []
