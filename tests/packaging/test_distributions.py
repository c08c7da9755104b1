"""What is installed from a wheel or a source distribution is all that the checkout has, and runs by itself."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import otoscope

ROOT = Path(__file__).parents[2]
#: Neither data nor code.
_LEFT_OUT = {".pyc"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy to build in: building writes beside the sources."""
    into = tmp_path_factory.mktemp("checkout")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, into)
    shutil.copytree(ROOT / "src", into / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return into


def build(checkout: Path, what: str, into: Path) -> Path:
    code = f"from setuptools import build_meta as b; b.build_{what}({str(into)!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (found,) = into.iterdir()
    return found


def files(folder: Path) -> set[str]:
    package = folder / "src" / "otoscope"
    return {
        f"otoscope/{f.relative_to(package)}" for f in package.rglob("*") if f.is_file() and f.suffix not in _LEFT_OUT
    }


def test_the_wheel_holds_every_file_and_runs_a_study_from_each_bundled_model(checkout: Path, tmp_path: Path) -> None:
    wheel = build(checkout, "wheel", tmp_path / "dist")
    assert wheel.name.startswith(f"otoscope-{otoscope.__version__}-py3")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    assert files(checkout) - {str(f.relative_to(site)) for f in site.rglob("*")} == set()
    env = os.environ | {"PYTHONPATH": str(site), "OTOSCOPE_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "1"}
    where = subprocess.run(
        [sys.executable, "-c", "import otoscope; print(otoscope.__file__)"],
        cwd=tmp_path,
        env=env,
        text=True,
        capture_output=True,
        check=True,
    )
    assert where.stdout.strip() == str(site / "otoscope" / "__init__.py")
    command = [
        sys.executable,
        "-m",
        "otoscope",
        "run",
        "quickstart",
        "--limit",
        "1",
        "--part",
        "bmld",
        "--part",
        "length-sweep",
    ]
    done = subprocess.run(command, cwd=tmp_path, env=env, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 failed" in done.stdout
    page = (tmp_path / "runs" / "quickstart" / "report.html").read_text(encoding="utf-8")
    assert "tiny-audiolm" in page
    assert "tiny-binaural-spatial" in page


def test_the_source_distribution_holds_every_file(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    with tarfile.open(build(checkout, "sdist", tmp_path / "dist")) as archive:
        names = {re.sub(r"^[^/]+/src/", "", name) for name in archive.getnames()}
    assert files(checkout) - names == set()


def test_the_change_log_has_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {otoscope.__version__}" in text
