"""Renders results: `python -m bench.report RESULTS [--out PAGE | --into README]`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench.report.page import HEADING, page


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("results", type=Path, help="the JSON that `python -m bench` wrote")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--out", type=Path, help="the page; without it, it is printed")
    target.add_argument("--into", type=Path, help="a page whose figures, to its end, are replaced")
    arguments = parser.parse_args()
    text = page(json.loads(arguments.results.read_text()))
    if arguments.into is not None:
        before, found, _ = arguments.into.read_text().partition(HEADING)
        if not found:
            parser.error(f"--into: {arguments.into} has no line {HEADING!r}")
        arguments.into.write_text(before + text)
    elif arguments.out is not None:
        arguments.out.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
