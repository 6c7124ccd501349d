"""Fetch what the C++ tests need from Debian packages, without root and without installing.

GoogleTest, Google Benchmark, a queue that benchmarks compare with and the C header of ONNX Runtime
are downloaded with apt, which checks their signatures, and unpacked:

    build/deps/usr/...

The machine's own package lists are used where they exist. Otherwise, and for a package that only
a newer Debian release has, apt runs on package lists of its own under build/apt: same sources,
proxy and certificate settings as the machine's, no change to the system.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = Path("/etc/apt")

# Of the ONNX Runtime package only the header is used. Bookworm lacks it; trixie's library would
# not run on bookworm, its header is plain C.
HEADER_PACKAGE = "libonnxruntime-dev"
HEADER_SUITE = "trixie"
KEYRING_PACKAGE = "debian-archive-keyring"
TEST_PACKAGES = ("libgtest-dev", "libgmock-dev", "libbenchmark-dev", "libconcurrentqueue-dev")


@dataclass(frozen=True)
class ArchiveSource:
    """One entry of apt's sources: where an archive is and which suites are taken from it."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    trusted: bool


def parse_deb822(text: str) -> list[ArchiveSource]:
    """Read a .sources file: paragraphs of "Key: values", of which comments are no part."""
    sources = []
    for paragraph in re.split(r"\n\s*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in paragraph.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields[key] = fields.get(key, "") + " " + line.strip()
                continue
            key, _, value = line.partition(":")
            key = key.strip().lower()
            fields[key] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
            continue
        sources += [
            ArchiveSource(
                uri=uri,
                suites=tuple(fields.get("suites", "").split()),
                components=tuple(fields.get("components", "").split()),
                trusted=fields.get("trusted", "no") == "yes",
            )
            for uri in fields.get("uris", "").split()
        ]
    return sources


def parse_one_line(text: str) -> list[ArchiveSource]:
    """Read a .list file: lines of "deb [options] uri suite components"."""
    pattern = re.compile(r"^deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<rest>.+)$")
    sources = []
    for line in text.splitlines():
        match = pattern.match(line.partition("#")[0].strip())
        if match is None:
            continue
        suite, *components = match["rest"].split()
        sources.append(
            ArchiveSource(
                uri=match["uri"],
                suites=(suite,),
                components=tuple(components),
                trusted="trusted=yes" in (match["options"] or "").split(),
            )
        )
    return sources


def machine_sources() -> list[ArchiveSource]:
    sources = []
    for path in [SOURCES / "sources.list", *sorted((SOURCES / "sources.list.d").glob("*"))]:
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".sources":
            sources += parse_deb822(text)
        elif path.suffix == ".list":
            sources += parse_one_line(text)
    return sources


def os_release(key: str) -> str:
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition("=")
        if name == key:
            return value.strip('"')
    return ""


def debian_archive() -> ArchiveSource:
    """The mirror from which this machine takes its own release's main component."""
    codename = os_release("VERSION_CODENAME")
    for source in machine_sources():
        if {codename, "stable", "testing", "sid", "unstable"} & set(source.suites) and (
            "main" in source.components
        ):
            return source
    raise LookupError(f"no apt source of this machine names '{codename}' with component main")


class Apt:
    """apt-get, either as the machine has it or on lists of its own below a folder."""

    def __init__(
        self,
        folder: Path | None = None,
        source_list: str | None = None,
        keyring: Path | None = None,
    ) -> None:
        self.options: list[str] = ["-qq", "-o", "APT::Sandbox::User=root"]
        if folder is None:
            return
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        # Read last, so that it wins: what the machine does after an update is not ours to do.
        settings = [
            "#clear APT::Update::Pre-Invoke;",
            "#clear APT::Update::Post-Invoke;",
            "#clear APT::Update::Post-Invoke-Success;",
            f'Dir::State::Lists "{folder / "lists"}";',
            f'Dir::Cache "{folder / "cache"}";',
            'Acquire::Languages "none";',
        ]
        if source_list is not None:
            (folder / "sources.list").write_text(source_list, encoding="utf-8")
            settings += [
                f'Dir::Etc::SourceList "{folder / "sources.list"}";',
                'Dir::Etc::SourceParts "/dev/null";',
            ]
        if keyring is not None:
            # Sources name a keyring in signed-by, too, but not where its path has a space.
            (folder / "keys").mkdir(exist_ok=True)
            shutil.copy(keyring, folder / "keys")
            settings += [
                'Dir::Etc::Trusted "/dev/null";',
                f'Dir::Etc::TrustedParts "{folder / "keys"}";',
            ]
        configuration = folder / "apt.conf"
        configuration.write_text("\n".join(settings) + "\n", encoding="utf-8")
        self.options += ["-c", str(configuration)]

    def update(self) -> None:
        subprocess.run(["apt-get", *self.options, "update"], check=True)

    def can_download(self, packages: tuple[str, ...]) -> bool:
        command = ["apt-get", *self.options, "--print-uris", "download", *packages]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def download(self, packages: tuple[str, ...], target: Path) -> list[Path]:
        """Download packages into an empty folder; apt checks what it downloads."""
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(parents=True)
        command = ["apt-get", *self.options, "download", *packages]
        subprocess.run(command, check=True, cwd=target)
        return sorted(target.glob("*.deb"))


def unpack(archives: list[Path], target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        print(f"unpacking {archive.name}", flush=True)
        subprocess.run(["dpkg-deb", "--extract", str(archive), str(target)], check=True)


def fetch_from_machine(packages: tuple[str, ...], build: Path) -> list[Path]:
    """Download packages of the machine's own release."""
    target = build / "apt" / "debs"
    apt = Apt()
    if apt.can_download(packages):
        try:
            return apt.download(packages, target)
        except subprocess.CalledProcessError:
            print("the machine's package lists are out of date; fetching fresh ones", flush=True)
    apt = Apt(build / "apt" / "own")
    apt.update()
    return apt.download(packages, target)


def fetch_test_libraries(build: Path) -> list[Path]:
    """Download the test packages and, beside Google Benchmark's headers, its shared library."""
    archives = fetch_from_machine(TEST_PACKAGES, build)
    (benchmark,) = (path for path in archives if path.name.startswith("libbenchmark-dev_"))
    command = ["dpkg-deb", "--field", str(benchmark), "Depends"]
    depends = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # The name of the library's package carries its version.
    library = re.search(r"\blibbenchmark[0-9][a-z0-9.]*", depends)
    if library is None:
        raise SystemExit(f"{benchmark.name} depends on no libbenchmark<version>: {depends.strip()}")
    return fetch_from_machine((*TEST_PACKAGES, library[0]), build)


def fetch_header(build: Path) -> list[Path]:
    """Download the header's package: from the machine's release, else from Debian's trixie.

    Raises LookupError where neither has it.
    """
    packages = (HEADER_PACKAGE,)
    if Apt().can_download(packages):
        return fetch_from_machine(packages, build)
    if os_release("ID") != "debian":
        raise LookupError(f"{os_release('ID')} has no {HEADER_PACKAGE}")
    archive = debian_archive()
    # The keys of a release that is newer than the machine come in its keyring package, which the
    # machine's own keys vouch for.
    keys = build / "apt" / "keyring"
    unpack(fetch_from_machine((KEYRING_PACKAGE,), build), keys)
    keyring = keys / "usr/share/keyrings/debian-archive-keyring.gpg"
    options = "[trusted=yes] " if archive.trusted else ""
    source = f"deb {options}{archive.uri} {HEADER_SUITE} main\n"
    apt = Apt(build / "apt" / HEADER_SUITE, source, keyring)
    apt.update()
    return apt.download(packages, build / "apt" / "debs")


def provide(
    stamp_name: str, packages: tuple[str, ...], fetch: Callable[[Path], list[Path]], build: Path
) -> None:
    """Unpack packages, unless an earlier run unpacked these."""
    stamp = build / "deps" / stamp_name
    wanted = " ".join(packages) + "\n"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    if shutil.which("apt-get") is None:
        raise SystemExit("the C++ tests take GoogleTest from Debian packages, and there is no apt")
    unpack(fetch(build), build / "deps")
    stamp.write_text(wanted, encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Unpack the Debian packages that tests need.")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="the build folder")
    build = parser.parse_args().build.resolve()
    os.environ["LC_ALL"] = "C"
    try:
        provide(".libraries", TEST_PACKAGES, fetch_test_libraries, build)
        provide(".header", (HEADER_PACKAGE,), fetch_header, build)
    except LookupError as reason:
        print(
            f"{reason}: the test that compares our ABI declaration with ONNX Runtime's C header "
            "will fail; put onnxruntime_c_api.h into a folder and configure with "
            "-DDYNBATCH_ORT_INCLUDE=<folder>",
            file=sys.stderr,
        )
    except subprocess.CalledProcessError as failure:
        sys.exit(f"failed ({failure.returncode}): {' '.join(failure.cmd)}")


if __name__ == "__main__":
    main()
