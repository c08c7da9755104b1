"""What it costs to start: ``import otoscope`` and ``otoscope --help`` against an empty Python.

The best of several alternating starts, with the ratio to the empty Python: what else the machine does can only add.
Exits with 1 where one of the two takes half a second or imports torch.
"""

from __future__ import annotations

import sys

from common import child, options, otoscope, show

LIMIT_S = 0.5
HEAVY = ("torch", "transformers", "scipy", "sklearn", "matplotlib", "pyarrow")
_HELP = "from click.testing import CliRunner; from otoscope.cli import cli; CliRunner().invoke(cli, ['--help'])"
_LOADED = "import sys; print(' '.join(sorted({m.split('.')[0] for m in sys.modules})))"

COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import otoscope": [sys.executable, "-c", "import otoscope"],
    "otoscope --help": otoscope("--help"),
    "otoscope ls models": otoscope("ls", "models"),
}
WHAT_IS_LOADED = {
    "import otoscope": f"import otoscope; {_LOADED}",
    "otoscope --help": f"{_HELP}; {_LOADED}",
}


def main() -> int:
    parser = options(__doc__)
    parser.add_argument("--repeat", type=int, default=7)
    chosen = parser.parse_args()
    walls: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(chosen.repeat):
        for name, command in COMMANDS.items():
            walls[name].append(child(command).wall_s)
    empty = min(walls["python -c pass"])
    rows, bad = [], 0
    for name, found in walls.items():
        heavy = None
        if name in WHAT_IS_LOADED:
            loaded = child([sys.executable, "-c", WHAT_IS_LOADED[name]]).output.split()
            heavy = " ".join(m for m in HEAVY if m in loaded) or "nothing heavy"
            bad += min(found) >= LIMIT_S or "torch" in loaded
        rows.append({"command": name, "seconds": min(found), "re empty Python": min(found) / empty, "loads": heavy})
    show(rows, chosen.json)
    return int(bad > 0)


if __name__ == "__main__":
    raise SystemExit(main())
