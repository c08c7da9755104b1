"""Print the tiny separator's held-out curves by number of solver steps, as a Markdown table.

``python tools/separator_curves.py`` prints the table of ``docs/explanation/models/tiny-separator.md``.
"""

from __future__ import annotations

from otoscope.models.bundled.tiny_separator import about


def rows() -> list[list[str]]:
    """A line per origin, kind and metric: mean and 95 % interval by number of steps."""
    found: list[list[str]] = []
    for origin, kinds in about()["held_out"].items():
        for kind, metrics in kinds.items():
            for metric, curve in metrics.items():
                n = 1 if metric.endswith("_db") else 3
                cells = {s: f"{v:.{n}f} [{low:.{n}f}, {high:.{n}f}]" for s, (v, low, high, _) in curve.items()}
                found.append([f"{origin} {kind}", f"`{metric}`", *(cells.get(s, "") for s in STEPS)])
    return found


STEPS = ("1", "2", "4", "8", "16", "32", "64")


def table() -> str:
    header = ["mixtures, asked for", "metric", *STEPS]
    lines = [header, ["---"] * len(header), *rows()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(table())
