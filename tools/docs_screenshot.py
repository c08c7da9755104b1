"""Make the picture of the README: the top of the page that ``otoscope run quickstart`` writes, in a headless browser.

``python tools/docs_screenshot.py [--run runs/quickstart]`` runs the quickstart first where the directory is not given.
It wants Chromium on the path.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ASSET = Path(__file__).parents[1] / "docs" / "assets" / "quickstart.png"
WIDTH, HEIGHT = 1100, 900


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="a finished quickstart")
    chosen = parser.parse_args()
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        parser.error("there is no Chromium on the path")
    with tempfile.TemporaryDirectory() as folder:
        run = chosen.run or Path(folder) / "quickstart"
        if chosen.run is None:
            command = [sys.executable, "-m", "otoscope", "run", "quickstart", "--into", str(run)]
            subprocess.run(command, check=True)
        shot = [browser, "--headless=new", "--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}"]
        subprocess.run([*shot, f"--screenshot={ASSET}", (run / "report.html").resolve().as_uri()], check=True)
    print(ASSET)


if __name__ == "__main__":
    main()
