"""The command `dynbatch`, which is `python -m dynbatch` too.

Where the C++ package is, for build systems that know no site-packages, is told with the standard
library alone; the other commands need the extra `cli`.
"""

from __future__ import annotations

import argparse
import shlex
import sys

import dynbatch

COMMANDS = ("compile", "inspect")


def main() -> None:
    """Runs the command that the arguments name, or prints paths."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] in COMMANDS:
        try:
            from dynbatch._command_line import run
        except ModuleNotFoundError as error:
            if error.name not in ("typer", "rich"):
                raise
            sys.exit(
                f"dynbatch {arguments[0]}: the package {error.name} is not installed; it comes "
                "with the extra `cli`: pip install dynbatch[cli]"
            )
        run(arguments)
    else:
        print_paths(arguments)


def print_paths(given: list[str]) -> None:
    """Prints one line for each option, in the order of --help."""
    parser = argparse.ArgumentParser(
        prog="dynbatch",
        usage="dynbatch (compile | inspect) ... or options",
        description="Compiles gears into models (compile --help), tells about models "
        "(inspect --help), and about the C++ package that the Python package brings:",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument(
        "--includes", action="store_true", help="print the compiler option for the headers"
    )
    parser.add_argument("--libdir", action="store_true", help="print the folder of the library")
    parser.add_argument(
        "--cmakedir", action="store_true", help="print the folder for CMake's dynbatch_DIR"
    )
    arguments = parser.parse_args(given)
    root = dynbatch.package_folder()
    lines = []
    if arguments.version:
        lines.append(dynbatch.__version__)
    if arguments.includes:
        lines.append("-I" + shlex.quote(str(root / "include")))
    if arguments.libdir:
        lines.append(str(root / "lib"))
    if arguments.cmakedir:
        lines.append(str(root / "lib" / "cmake" / "dynbatch"))
    if not lines:
        parser.error(
            "expected compile, inspect, or one of --version, --includes, --libdir, --cmakedir"
        )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
