"""The committed stubs of the extension say what the extension is.

They are held against generated ones: the same classes, members, parameters and defaults, and the
same types, except that where pybind11 knows no more than "some object" the stubs may know more.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import dynbatch

PACKAGE = Path(dynbatch.__file__).parent
COMMITTED = PACKAGE / "_core.pyi"
# Of each extension all files, by their names below the package.
STUBS = ["_core.pyi", *(f"_acl/{part}.pyi" for part in ("__init__", "mdl", "native", "rt", "util"))]

# How the generator writes what the stubs write shorter.
SPELLINGS = {
    "typing.SupportsInt | typing.SupportsIndex": "int",
    "typing.SupportsFloat | typing.SupportsIndex": "float",
    "collections.abc.": "",
    "typing.": "",
    "numpy.": "np.",
}
# Types that say no more than "some object": the stubs may be more exact.
VAGUE = {"Any", "dict", "list", "tuple", "tuple[dict, int]", "Callable", "np.ndarray"}

# Made with the C API, which tells no signatures. The stubs name what the package uses of it.
FROM_C = "Answer"

Members = dict[str, str]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stubs")
    for module in ("dynbatch._core", "dynbatch._acl"):
        subprocess.run(
            [sys.executable, "-m", "pybind11_stubgen", module, "-o", str(folder)],
            check=True,
            capture_output=True,
            timeout=120,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
    return folder / "dynbatch"


def type_of(annotation: ast.expr | None) -> str:
    text = "" if annotation is None else ast.unparse(annotation)
    for long, short in SPELLINGS.items():
        text = text.replace(long, short)
    return text


def signature_of(function: ast.FunctionDef) -> str:
    arguments = function.args
    defaults = [None] * (len(arguments.args) - len(arguments.defaults)) + list(arguments.defaults)
    parts = [
        f"{a.arg}: {type_of(a.annotation)}" + (f" = {ast.unparse(d)}" if d else "")
        for a, d in zip(arguments.args, defaults, strict=True)
    ]
    parts += ["*"] if arguments.kwonlyargs else []
    parts += [
        f"{a.arg}: {type_of(a.annotation)}" + (f" = {ast.unparse(d)}" if d else "")
        for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    return f"({', '.join(parts)}) -> {type_of(function.returns)}"


def members_of(body: list[ast.stmt], prefix: str = "") -> Members:
    """Every class, method, property, enumerator and function, with its type."""
    members: Members = {}
    for node in body:
        if isinstance(node, ast.ClassDef):
            bases = ", ".join(ast.unparse(base) for base in node.bases)
            members[prefix + node.name] = f"class({bases})"
            members |= members_of(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef) and node.name != "__new__":
            decorators = [ast.unparse(decorator) for decorator in node.decorator_list]
            if any(decorator.endswith(".setter") for decorator in decorators):
                # What the generator calls the value is of no account.
                members[f"{prefix}{node.name} (set)"] = type_of(node.args.args[1].annotation)
            elif "property" in decorators:
                members[prefix + node.name] = f"property: {type_of(node.returns)}"
            else:
                members[prefix + node.name] = signature_of(node)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            enumerator = "ClassVar" in ast.unparse(node.annotation)
            text = "enumerator" if enumerator else type_of(node.annotation)
            members[prefix + node.target.id] = text
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            members[prefix + node.targets[0].id] = "enumerator"
    members.pop("__all__", None)
    members.pop("T", None)
    return members


def parsed(path: Path) -> Members:
    members = members_of(ast.parse(path.read_text(encoding="utf-8")).body)
    return {name: text for name, text in members.items() if name.split(".")[0] != FROM_C}


def words_of(signature: str) -> list[str]:
    """A signature cut at its parameters and its answer, outside of brackets."""
    words, depth, word = [], 0, ""
    for character in signature.replace(") -> ", ", -> ").lstrip("("):
        depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            words.append(word.strip())
            word = ""
        else:
            word += character
    return [*words, word.strip()]


def agree(committed: str, generated: str) -> bool:
    if committed == generated:
        return True
    ours, theirs = words_of(committed), words_of(generated)
    if len(ours) != len(theirs):
        return False
    for mine, its in zip(ours, theirs, strict=True):
        separator = "-> " if its.startswith("-> ") else ": "
        name, _, kind = its.partition(separator)
        if mine != its and not (kind in VAGUE and mine.partition(separator)[0] == name):
            return False
    return True


@pytest.mark.parametrize("name", STUBS)
def test_the_stubs_name_what_the_extension_has(generated: Path, name: str) -> None:
    assert sorted(parsed(PACKAGE / name)) == sorted(parsed(generated / name))


@pytest.mark.parametrize("name", STUBS)
def test_the_stubs_have_the_types_of_the_extension(generated: Path, name: str) -> None:
    committed, actual = parsed(PACKAGE / name), parsed(generated / name)
    differences = {
        name: (committed[name], actual[name])
        for name in committed.keys() & actual.keys()
        if not agree(committed[name], actual[name])
    }
    assert not differences


def test_the_stubs_of_what_is_made_in_c_name_what_there_is() -> None:
    members = members_of(ast.parse(COMMITTED.read_text(encoding="utf-8")).body)
    for name in members:
        if name.startswith(f"{FROM_C}."):
            assert hasattr(dynbatch._core.Answer, name.split(".")[1]), name


def test_the_enumerators_have_the_values_of_the_extension() -> None:
    tree = ast.parse(COMMITTED.read_text(encoding="utf-8"))
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or "enum.Enum" not in map(ast.unparse, node.bases):
            continue
        stated = {
            ast.unparse(entry.targets[0]): ast.literal_eval(entry.value)
            for entry in node.body
            if isinstance(entry, ast.Assign)
        }
        actual = getattr(dynbatch._core, node.name)
        assert stated == {each.name: each.value for each in actual}, node.name
