"""Runs the code blocks of a Markdown page as a reader would: in order, in one folder.

- a block with ``title="NAME"`` is written to that file;
- ``python`` and ``bash`` blocks are run and must exit with 0;
- a ``<!-- tested with: COMMAND -->`` line before a block names a smaller command that is run in its place;
- ``console`` blocks hold ``$ commands`` and what they print; ``...`` stands for anything, white space doesn't count;
- other blocks (``text``), and those right after a ``<!-- not run: ... -->`` or ``<!-- test-command -->`` line, are left
  alone.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT_S = 240

_BLOCK = re.compile(
    r"^(?:(?P<skip><!-- (?:not run: [^\n]+|test-command) -->\n)|<!-- tested with: (?P<instead>[^\n]+) -->\n)?"
    r"```(?P<kind>\w+)(?P<options>[^\n]*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    kind: str
    title: str | None
    code: str
    line: int
    skipped: bool


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for m in _BLOCK.finditer(text):
        title = _TITLE.search(m["options"])
        line = text.count("\n", 0, m.start()) + 1
        yield Block(m["kind"], title[1] if title else None, m["instead"] or m["code"], line, m["skip"] is not None)


class Reader:
    """Follows pages in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        plugins = folder / "installed"
        plugins.mkdir()
        (folder / "examples").symlink_to(ROOT / "examples")
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join([str(plugins), str(folder), str(ROOT / "src")]),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
        }
        self.environment.pop("OTOSCOPE_FAULT", None)

    def follow(self, page: Path) -> int:
        """Do what the page says; how many blocks were run."""
        ran = 0
        for block in blocks(page):
            where = f"{page.name}, line {block.line}"
            if block.skipped:
                continue
            if block.title:
                (self.folder / block.title).write_text(block.code, encoding="utf-8")
                if block.title == "pyproject.toml":
                    self._install(block.code)
            elif block.kind == "python":
                self.run([sys.executable, "-c", block.code], where, ok=True)
                ran += 1
            elif block.kind == "bash":
                self.run(["bash", "-euo", "pipefail", "-c", block.code], where, ok=True)
                ran += 1
            elif block.kind == "console":
                self._converse(block.code, where)
                ran += 1
        return ran

    def run(self, command: list[str], where: str, *, ok: bool) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert not ok or done.returncode == 0, f"{where} exits with {done.returncode}:\n{done.stdout}"
        assert "Traceback (most recent call last)" not in done.stdout, f"{where}:\n{done.stdout}"
        return done.stdout

    def _converse(self, code: str, where: str) -> None:
        for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
            command, _, shown = part.partition("\n")
            got = " ".join(self.run(["bash", "-c", command], where, ok=False).split())
            pattern = ".*".join(re.escape(" ".join(p.split())) for p in shown.split("..."))
            assert re.search(pattern.replace("\\ .*", ".*").replace(".*\\ ", ".*"), got), (
                f"{where}: {command}\nprinted:\n{got}\nthe page says:\n{shown}"
            )

    def _install(self, pyproject: str) -> None:
        """What ``pip install -e .`` tells Python about a package: its entry points."""
        project = tomllib.loads(pyproject)["project"]
        name, version = project["name"], project["version"]
        info = self.folder / "installed" / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = []
        for group, entries in project["entry-points"].items():
            lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
