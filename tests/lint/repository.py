"""The files of this repository, as the lint tests read them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IGNORED = [".git", *(line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines())]
CXX_SUFFIXES = {".hpp", ".cpp", ".h"}


def is_ignored(name: str) -> bool:
    """Whether .gitignore names a file or folder; in a worktree .git itself is a file."""
    return any(fnmatch(name, pattern) for pattern in IGNORED)


def files_below(*folders: str, suffixes: set[str] | None = None) -> Iterator[Path]:
    """Every file of the repository, or those below some folders, with one of the suffixes."""
    for start in folders or (".",):
        for folder, subfolders, names in os.walk(ROOT / start):
            subfolders[:] = sorted(name for name in subfolders if not is_ignored(name))
            for name in sorted(names):
                path = Path(folder, name)
                if not is_ignored(name) and (suffixes is None or path.suffix in suffixes):
                    yield path


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str | None:
    """The text of a file, or None if it is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def without_comments(text: str) -> str:
    """C++ with comments and the contents of strings blanked out; lines and columns stay."""

    def blank(match: re.Match[str]) -> str:
        token = match[0]
        if token.startswith('"'):
            return '"' + " " * (len(token) - 2) + '"'
        return re.sub(r"[^\n]", " ", token)

    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', blank, text, flags=re.DOTALL)


def included(text: str) -> Iterator[tuple[int, str, bool]]:
    """Line number, path and whether it stands in quotes, of every #include."""
    pattern = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')
    for number, line in enumerate(text.splitlines(), start=1):
        match = pattern.match(line)
        if match is not None:
            yield number, match[1] or match[2], match[1] is not None
