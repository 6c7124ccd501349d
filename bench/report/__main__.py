"""Renders results: `python -m bench.report RESULTS [--out PAGE | --into README...]`.

A whole page in a file has pictures, in the folder `figures` beside it; what is printed has none.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from bench.report.excerpt import MARKED, with_excerpts
from bench.report.page import HEADING, page

FIGURES = "figures"


def illustrated(results: dict[str, Any], path: Path) -> str:
    """The page that belongs into that file, whose pictures are drawn."""
    from bench.report.pictures import draw  # matplotlib is slow to import, and not always needed

    drawn = draw(results, path.parent / FIGURES)
    return page(results, {caption: f"{FIGURES}/{file.name}" for caption, file in drawn.items()})


def with_figures(path: Path, results: dict[str, Any]) -> str:
    """The file's text with fresh figures: between its comments, or else from its heading on."""
    text = path.read_text()
    if MARKED.search(text):
        return with_excerpts(text, results)
    before, found, _ = text.partition(HEADING)
    if not found:
        raise ValueError(f"no line {HEADING!r} and no comment <!-- figures: ... -->")
    return before + illustrated(results, path)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("results", type=Path, help="the JSON that `python -m bench` wrote")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--out", type=Path, help="the page; without it, it is printed")
    target.add_argument(
        "--into",
        type=Path,
        nargs="+",
        help="pages whose figures are replaced: between comments, or from a heading to the end",
    )
    arguments = parser.parse_args()
    results = json.loads(arguments.results.read_text())
    for path in arguments.into or ():
        try:
            text = with_figures(path, results)
        except ValueError as error:
            parser.error(f"{path}: {error}")
        path.write_text(text)
    if arguments.out is not None:
        arguments.out.write_text(illustrated(results, arguments.out))
    elif not arguments.into:
        print(page(results), end="")


if __name__ == "__main__":
    main()
