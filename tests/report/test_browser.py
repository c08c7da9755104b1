"""The page in a real browser, where one is installed: nothing is refused by the page's own policy, legends act."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otoscope.report.page import render
from otoscope.report.run import Run

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
)


def test_scripts_run_and_nothing_is_refused(tmp_path: Path, maker: Any, run: Run) -> None:
    for model in ("tiny-stereo", "left-only", "logmel-ild"):
        maker.tones(model, ("intact",))
    page = tmp_path / "report.html"
    page.write_text(render(replace(run, scores=maker.scores)), encoding="utf-8")
    command = [str(BROWSER), *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", page.as_uri()]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "Content Security Policy" not in found.stderr
    assert "Uncaught" not in found.stderr
    # left-only is off at first: the script hides its curves, and those of the subject stay.
    series = dict(re.findall(r'data-series="(m\d+)"[^>]*>.*?<span>([\w-]+)', found.stdout, re.S))
    hidden = set(re.findall(r'class="series series-(m\d+)" style="display: none;"', found.stdout))
    assert {series[m] for m in hidden} == {"left-only"}
