"""Every atomic operation says its memory order, and every pairing says its partner.

The rules are textual, for the sources of the library. Names of atomic operations are reserved to
atomics there, so that a reader, too, knows one at sight.
"""

from __future__ import annotations

import re
from pathlib import Path

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
    """The comments within reach of a line: on it, and whole those that end just above it."""
    found = [lines[index]]
    reach = index - PAIRING_LINES
    position = index - 1
    while position >= 0:
        is_comment = lines[position].lstrip().startswith("//")
        if position < reach and not is_comment:
            break
        if is_comment or "//" in lines[position]:
            found.append(lines[position])
        position -= 1
    return "\n".join(found)


def faults_of(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    code = without_comments(text)
    lines = text.splitlines()
    faults = []
    for match in OPERATION.finditer(code):
        index = code.count("\n", 0, match.start())
        place = f"{name_of(path)}:{index + 1}: {match[1]}"
        orders = ORDER.findall(arguments_from(code, match.end() - 1))
        if not orders:
            faults.append(f"{place} names no memory order")
        elif set(orders) - {"relaxed"} and "pairs with" not in comment_above(lines, index):
            faults.append(
                f"{place} is {'/'.join(orders)}, but no comment in the {PAIRING_LINES} lines "
                "above says what it pairs with"
            )
    return faults


def test_atomic_operations_name_their_order_and_their_partner() -> None:
    faults = [fault for path in library_sources() for fault in faults_of(path)]
    assert not faults, "\n".join(faults)


def test_atomics_are_not_used_through_operators() -> None:
    # x = 1, ++x and x += 1 on an atomic are sequentially consistent without saying so.
    faults = []
    for path in library_sources():
        code = without_comments(path.read_text(encoding="utf-8"))
        for name in {match[1] for match in DECLARATION.finditer(code)}:
            # A local variable may share a member's name; through an object or with the members'
            # underscore it is the atomic itself.
            before = r"(?<!\w)" if name.endswith("_") else r"(?:\.|->)\s*"
            use = re.compile(
                rf"{before}{name}\s*(?:[+\-|&^]?=(?!=)|\+\+|--)|(?:\+\+|--)\s*{name}\b"
            )
            faults += [
                f"{name_of(path)}:{code.count(chr(10), 0, match.start()) + 1}: {match[0]}"
                for match in use.finditer(code)
            ]
    assert not faults, "\n".join(faults)


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
