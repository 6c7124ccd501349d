"""Every atomic operation says its memory order, and every pairing says its partner.

The rules are textual, for the sources of the library. Names of atomic operations are reserved to
atomics there, so that a reader, too, knows one at sight.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from repository import CXX_SUFFIXES, ROOT, files_below, name_of, without_comments

OPERATION = re.compile(
    r"(?:\.|->)\s*(load|store|exchange|fetch_(?:add|sub|and|or|xor)|test_and_set|"
    r"compare_exchange_(?:weak|strong))\s*\("
)
ORDER = re.compile(r"memory_order(?:_|::)(relaxed|consume|acquire|release|acq_rel|seq_cst)")
DECLARATION = re.compile(r"\batomic<[^;{}()]*>\s+(\w+)\s*[;{\[]")
PAIRING_LINES = 3


def library_sources() -> list[Path]:
    return list(files_below("cpp", suffixes=CXX_SUFFIXES))


def arguments_from(code: str, opening: int) -> str:
    """The text between a parenthesis and the one that closes it."""
    depth = 0
    for position in range(opening, len(code)):
        depth += {"(": 1, ")": -1}.get(code[position], 0)
        if depth == 0:
            return code[opening + 1 : position]
    return code[opening + 1 :]


def comment_above(lines: list[str], index: int) -> str:
    """A line and those within reach above it; a block of comment lines is within reach whole."""
    first = max(index - PAIRING_LINES, 0)
    while first > 0 and all(
        line.lstrip().startswith("//") for line in lines[first - 1 : first + 1]
    ):
        first -= 1
    return "\n".join(lines[first : index + 1])


def order_faults(name: str, text: str) -> list[str]:
    """Operations that do not say their order, or which operation of another thread they meet."""
    code = without_comments(text)
    lines = text.splitlines()
    faults = []
    for match in OPERATION.finditer(code):
        index = code.count("\n", 0, match.start())
        place = f"{name}:{index + 1}: {match[1]}"
        orders = ORDER.findall(arguments_from(code, match.end() - 1))
        if not orders:
            faults.append(f"{place} names no memory order")
        elif set(orders) - {"relaxed"} and "pairs with" not in comment_above(lines, index):
            faults.append(
                f"{place} is {'/'.join(orders)}, but no comment in the {PAIRING_LINES} lines "
                "above says what it pairs with"
            )
    return faults


def operator_faults(name: str, text: str) -> list[str]:
    """Uses such as x = 1, ++x and x += 1, which are sequentially consistent without saying so."""
    code = without_comments(text)
    faults = []
    for atomic in {match[1] for match in DECLARATION.finditer(code)}:
        if re.search(rf"(?<!return)(?<=\w)\s+{atomic}\s*[=;{{]", code):
            continue  # something that is no atomic bears the name, too
        before = r"(?<!\w)" if atomic.endswith("_") else r"(?:\.|->)\s*"
        use = re.compile(
            rf"{before}{atomic}\s*(?:[+\-|&^]?=(?!=)|\+\+|--)|(?:\+\+|--)\s*{atomic}\b"
        )
        faults += [
            f"{name}:{code.count(chr(10), 0, match.start()) + 1}: {match[0]}"
            for match in use.finditer(code)
        ]
    return faults


def in_all_sources(find: Callable[[str, str], list[str]]) -> list[str]:
    return [
        fault
        for path in library_sources()
        for fault in find(name_of(path), path.read_text(encoding="utf-8"))
    ]


def test_atomic_operations_name_their_order_and_their_partner() -> None:
    faults = in_all_sources(order_faults)
    assert not faults, "\n".join(faults)


def test_atomics_are_not_used_through_operators() -> None:
    faults = in_all_sources(operator_faults)
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("x_.load();", "names no memory order"),
        ("x_.store(f(1, 2));", "names no memory order"),
        ("x_.store(1, std::memory_order_release);", "pairs with"),
        ("// pairs with\n\n\n\nx_.load(std::memory_order_acquire);", "pairs with"),
        ("x_.exchange(1, std::memory_order_relaxed);", None),
        ("// pairs with f: publishes y\nx_.load(std::memory_order_acquire);", None),
        ("// pairs with f:\n// a\n// b\n// c\n// d\nx_.load(std::memory_order_acquire);", None),
        ("// x_.load();", None),
    ],
)
def test_orders_are_judged_rightly(code: str, fault: str | None) -> None:
    found = order_faults("x.cpp", code)
    assert len(found) == (0 if fault is None else 1)
    assert fault is None or fault in found[0]


@pytest.mark.parametrize("use", ["x_ = 1;", "x_++;", "--x_;", "other.x_ |= 2;"])
def test_operators_on_atomics_are_seen(use: str) -> None:
    assert operator_faults("x.cpp", f"std::atomic<int> x_{{0}};\n{use}")
    assert not operator_faults("x.cpp", f"int x_{{0}};\n{use}")


def test_no_fences() -> None:
    # ThreadSanitizer of GCC does not see fences, so it could not check code that has them.
    faults = [
        name_of(path)
        for path in files_below("cpp", "python", suffixes=CXX_SUFFIXES)
        if "atomic_thread_fence" in without_comments(path.read_text(encoding="utf-8"))
    ]
    assert not faults, "\n".join(faults)


def test_platform_and_clock_are_named_in_base_alone() -> None:
    # Everything else takes them as a parameter, so that tests can own schedules and time.
    forbidden = re.compile(
        r"std::atomic\b|\bsteady_clock\b|\bsystem_clock\b|\bsleep_(?:for|until)\b"
    )
    base = ROOT / "cpp/src/base"
    faults = [
        f"{name_of(path)}:{code.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for path in library_sources()
        if base not in path.parents
        for code in [without_comments(path.read_text(encoding="utf-8"))]
        for match in forbidden.finditer(code)
    ]
    assert not faults, "\n".join(faults)
