"""The wheel holds what the tree holds, and its command runs from another folder.

A checkout shadows an installed package, so only a run elsewhere proves the wheel.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("streams", "agents", "ext", "schemas")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    # A clean copy: a stale build/ folder would bring deleted modules back.
    files = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(tree)],
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tree = wheel.parent / "tree"
    expected = {
        str(path.relative_to(tree))
        for package in PACKAGES
        for path in (tree / package).rglob("*")
        if path.suffix in (".py", ".pyi", ".yaml", ".json", ".csv", ".typed") and path.is_file()
    } | {
        str(path.relative_to(tree))
        for path in (tree / "agents" / "gateway" / "static").rglob("*")
        if path.is_file()
    }
    assert expected <= names
    others = {n for n in names - expected if ".dist-info/" not in n}
    assert all(n.startswith("ext/") and n.endswith((".so", ".pyx", ".pxd")) for n in others), others
    assert any(n.startswith("ext/panes.") and n.endswith(".so") for n in others)


def test_the_command_runs_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--target",
            str(site),
            str(wheel),
        ],
        check=True,
    )
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r}); import agents, ext.panes;"
        f"assert agents.__file__.startswith({str(site)!r}), agents.__file__;"
        "from agents.commands import main; sys.argv = ['cityvitals', 'check']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "traffic.tpi" in done.stdout or "sign" in done.stdout
