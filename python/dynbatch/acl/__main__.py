"""`python -m dynbatch.acl SCRIPT [ARGS]`: runs a script that says `import acl`, unchanged."""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

from dynbatch import acl


def main() -> None:
    """Runs the script as `python SCRIPT` would, with `acl` in its process alone."""
    parser = argparse.ArgumentParser(
        prog="python -m dynbatch.acl", description="Run a script for pyACL on ONNX Runtime."
    )
    parser.add_argument("script", metavar="SCRIPT", help="a Python file that says `import acl`")
    parser.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER, help="its own arguments")
    arguments = parser.parse_args()
    sys.modules["acl"] = acl
    for name in ("mdl", "rt", "util"):
        sys.modules[f"acl.{name}"] = getattr(acl, name)
    sys.argv = [arguments.script, *arguments.args]
    sys.path[0] = str(Path(arguments.script).resolve().parent)
    runpy.run_path(arguments.script, run_name="__main__")


if __name__ == "__main__":
    main()
