"""`python -m dynbatch`: where the C++ package is, for build systems that know no site-packages."""

from __future__ import annotations

import argparse
import shlex

import dynbatch


def main() -> None:
    """Prints one line for each option, in the order of --help."""
    parser = argparse.ArgumentParser(
        prog="python -m dynbatch",
        description="Paths of the C++ package that the Python package brings.",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    parser.add_argument(
        "--includes", action="store_true", help="print the compiler option for the headers"
    )
    parser.add_argument("--libdir", action="store_true", help="print the folder of the library")
    parser.add_argument(
        "--cmakedir", action="store_true", help="print the folder for CMake's dynbatch_DIR"
    )
    arguments = parser.parse_args()
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
        parser.error("expected one of --version, --includes, --libdir, --cmakedir")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
