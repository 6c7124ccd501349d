"""The repository speaks of the project alone: no machine's paths, no registry's hosts."""

from __future__ import annotations

import re

from repository import files_below, name_of, text_of

# Written so that this file does not match itself.
FORBIDDEN = {
    "a path of one machine": re.compile(r"(?<![\w.])/(?:work|root|home/\w+|tmp/\w+)\b(?!:)"),
    "the host of a registry": re.compile(
        r"\b(?:pypi|pythonhosted|npmjs|debian|ubuntu)\.(?:org|com|net)\b"
    ),
    "a note to oneself": re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b"),
    "a build for one machine": re.compile(r"-march" + r"=native"),
}


def test_no_file_speaks_of_anything_else() -> None:
    faults = []
    for path in files_below():
        text = text_of(path)
        if text is None:
            continue
        for number, line in enumerate(text.splitlines(), start=1):
            faults += [
                f"{name_of(path)}:{number}: {what}: {line.strip()[:100]}"
                for what, pattern in FORBIDDEN.items()
                if pattern.search(line)
            ]
    assert not faults, "\n".join(faults)
