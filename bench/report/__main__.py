"""`python -m bench.report RESULTS [--out PAGE]`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from bench.report.page import page


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.report", description=__doc__)
    parser.add_argument("results", type=Path, help="the JSON that `python -m bench` wrote")
    parser.add_argument("--out", type=Path, help="the page; without it, it is printed")
    arguments = parser.parse_args()
    text = page(json.loads(arguments.results.read_text()))
    if arguments.out is None:
        print(text, end="")
    else:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
