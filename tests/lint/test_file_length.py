"""A file holds one idea: headers of about 200 lines, sources of about 350, none far above."""

from __future__ import annotations

from repository import files_below, name_of

LONGEST = 400

# Files that hold one idea all the same, each with the reason.
ONE_IDEA: dict[str, str] = {}


def test_no_file_has_grown_out_of_one_idea() -> None:
    lengths = {
        name_of(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in files_below(suffixes={".hpp", ".cpp", ".h", ".py"})
    }
    faults = [
        f"{name}: {length} lines; split it by idea, or give the reason in ONE_IDEA"
        for name, length in lengths.items()
        if length > LONGEST and name not in ONE_IDEA
    ]
    stale = [
        f"{name}: listed in ONE_IDEA without need"
        for name in ONE_IDEA
        if lengths.get(name, 0) <= LONGEST
    ]
    assert not faults + stale, "\n".join(faults + stale)
