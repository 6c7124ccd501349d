"""Run clang-tidy over the library's sources, several at a time, and only where it is needed.

A source that was clean is not read again until it, a header or the configuration changes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from repository import ROOT, files_below, name_of

CHECKED = ("cpp/src", "python/bindings")


def digest_of_context() -> str:
    digest = hashlib.sha256((ROOT / ".clang-tidy").read_bytes())
    digest.update(
        subprocess.run(["clang-tidy", "--version"], check=True, capture_output=True).stdout
    )
    for path in files_below("cpp", "python/bindings", suffixes={".hpp", ".h"}):
        digest.update(name_of(path).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def compiled_in(tree: Path) -> set[Path]:
    entries = json.loads((tree / "compile_commands.json").read_text(encoding="utf-8"))
    return {Path(entry["directory"], entry["file"]).resolve() for entry in entries}


def main() -> None:
    parser = argparse.ArgumentParser(description="Run clang-tidy over the library's sources.")
    parser.add_argument("--build", type=Path, required=True, help="a CMake tree")
    parser.add_argument("--jobs", type=int, default=2, help="sources read at the same time")
    arguments = parser.parse_args()
    context = digest_of_context()
    clean = ROOT / "build/clang-tidy"
    clean.mkdir(parents=True, exist_ok=True)

    def check(source: Path) -> tuple[Path, str]:
        command = ["clang-tidy", "--quiet", "-p", str(arguments.build.resolve()), str(source)]
        digest = hashlib.sha256(f"{context}{command}".encode() + source.read_bytes()).hexdigest()
        if (clean / digest).exists():
            return source, ""
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode == 0:
            (clean / digest).touch()
            return source, ""
        return source, f"{result.stdout}{result.stderr}exit {result.returncode}"

    sources = list(files_below(*CHECKED, suffixes={".cpp"}))
    compiled = compiled_in(arguments.build)
    unknown = [name_of(source) for source in sources if source not in compiled]
    if unknown:
        sys.exit(f"clang-tidy: not compiled in {arguments.build}: {', '.join(unknown)}")
    with ThreadPoolExecutor(arguments.jobs) as pool:
        results = list(pool.map(check, sources))
    faults = [(source, report) for source, report in results if report]
    for source, report in faults:
        print(f"{name_of(source)}:\n{report}")
    print(f"clang-tidy: {len(sources) - len(faults)} of {len(sources)} sources are clean")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
