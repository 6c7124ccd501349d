"""The version stands in one place, and everything else reads it from there."""

from __future__ import annotations

import re

from repository import ROOT, files_below, name_of, text_of

HOME = "cpp/include/dynbatch/version.hpp"


def the_version() -> str:
    text = (ROOT / HOME).read_text(encoding="utf-8")
    (version,) = re.findall(r'^#define DYNBATCH_VERSION "(\d+\.\d+\.\d+)"$', text, re.MULTILINE)
    return str(version)


def test_version_is_stated_once() -> None:
    literal = re.compile(rf"(?<![\d.]){re.escape(the_version())}(?![\d.])")
    code = files_below(
        "cpp", "python", "examples", "docs", suffixes={".hpp", ".cpp", ".h", ".py", ".pyi", ".txt"}
    )
    build = [ROOT / name for name in ("CMakeLists.txt", "pyproject.toml", "CMakePresets.json")]
    faults = [
        name_of(path)
        for path in [*code, *build]
        if name_of(path) != HOME and literal.search(text_of(path) or "")
    ]
    assert not faults, f"{the_version()} is stated outside {HOME}: {faults}"


def test_changelog_knows_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(the_version())}\]", changelog, re.MULTILINE)
