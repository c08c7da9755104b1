"""Write docs/reference/cli.md from the real ``--help`` of every verb. ``--check`` only says whether it is current."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from click.testing import CliRunner

from otoscope.cli import VERBS, cli

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"
INTRODUCTION = """\
# Command line

This page is made from the help texts themselves: `python tools/cli_reference.py`.

Every verb that prints takes `--json`. Exit codes: 0 done, 1 some items or checks failed, 2 usage, 3 broken input or
store, 130 interrupted. Names and their parameters are described in [names](names.md).
"""


def page() -> str:
    """The whole page."""
    parts = [INTRODUCTION, _section("otoscope", [])]
    for verb in VERBS:
        command = cli.get_command(click.Context(cli), verb)
        parts.append(_section(f"otoscope {verb}", [verb]))
        if isinstance(command, click.Group):
            parts += [_section(f"otoscope {verb} {sub}", [verb, sub]) for sub in sorted(command.commands)]
    return "\n".join(parts)


def _section(title: str, arguments: list[str]) -> str:
    found = CliRunner().invoke(cli, [*arguments, "--help"], prog_name="otoscope", terminal_width=100)
    if found.exit_code != 0:
        raise SystemExit(f"{title} --help failed: {found.output}")
    text = "\n".join(line.rstrip() for line in found.output.strip().splitlines())
    return f"## {title}\n\n```text\n{text}\n```\n"


if __name__ == "__main__":
    new = page()
    if "--check" in sys.argv[1:]:
        current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == new
        raise SystemExit(0 if current else f"{PAGE} is not current: run python tools/cli_reference.py")
    PAGE.write_text(new, encoding="utf-8")
    print(PAGE)
