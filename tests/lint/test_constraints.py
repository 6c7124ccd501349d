"""What the environment installs is pinned, also what those packages need in turn, and no more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from repository import ROOT


def asked_for() -> list[Requirement]:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (groups,) = re.findall(r"^\[dependency-groups\]\n(.*?)^\[", text, re.DOTALL | re.MULTILINE)
    return [Requirement(each) for each in re.findall(r'"([^"]+)"', groups)]


def needed_by(requirement: Requirement) -> Iterator[Requirement]:
    for each in map(Requirement, requires(requirement.name) or []):
        extras = ("", *requirement.extras)
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in extras):
            yield each


def pinned() -> set[str]:
    lines = (ROOT / "third_party/constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    return {canonicalize_name(pin.name) for pin in pins if not pin.marker or pin.marker.evaluate()}


def test_what_is_installed_is_pinned_and_nothing_else() -> None:
    waiting = asked_for()
    installed: set[str] = set()
    seen: set[str] = set()
    while waiting:
        requirement = waiting.pop()
        if str(requirement) not in seen:
            seen.add(str(requirement))
            installed.add(canonicalize_name(requirement.name))
            waiting += needed_by(requirement)
    assert installed | {"pip"} == pinned()
