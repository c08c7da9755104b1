"""Print the tiny audio language model's held-out figures as a Markdown table.

``python tools/audiolm_figures.py`` prints the table of ``docs/explanation/models/tiny-audiolm.md``. Folds of one recipe
are one column: their items together, and in brackets the least and the greatest figure of a fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scipy.stats import binomtest

from otoscope.models.bundled.tiny_audiolm import about

Figures = dict[str, Any]


def table() -> str:
    """A line per figure: chance, the folds, and the shipped weights on the package's held-out sounds."""
    facts = about()
    columns = [(_title(folds), [f["held_out"] for f in folds]) for folds in _by_recipe(facts["folds"])]
    columns.append(("shipped, generated", [facts["generated"]["held_out"]]))
    names = list(dict.fromkeys(name for _, runs in columns for figures in runs for name in figures))
    header = ["question", "chance", *(title for title, _ in columns)]
    rows = [
        [f"`{name}`", _chance(name, columns), *(_cell([f[name] for f in runs if name in f]) for _, runs in columns)]
        for name in names
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *rows])


def _by_recipe(folds: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    found: list[list[dict[str, Any]]] = []
    for fold in folds:
        same = next((group for group in found if group[0]["recipe"] == fold["recipe"]), None)
        if same is None:
            found.append([fold])
        else:
            same.append(fold)
    return found


def _title(folds: Sequence[dict[str, Any]]) -> str:
    left = " or ".join(fold["left_out"] for fold in folds)
    return f"without {left}, {folds[0]['recipe']['steps']} steps"


def _chance(name: str, columns: Sequence[tuple[str, Sequence[Figures]]]) -> str:
    found = [figures[name] for _, runs in columns for figures in runs if name in figures]
    return " or ".join(dict.fromkeys(f"{f['chance']:.2f}" for f in found if "chance" in f))


def _cell(runs: Sequence[Figures]) -> str:
    if not runs:
        return ""
    if "wer" in runs[0]:
        words, n = sum(r["words"] for r in runs), sum(r["n"] for r in runs)
        wer = sum(r["wer"] * r["words"] for r in runs) / words
        whole = sum(r["exact"] * r["n"] for r in runs) / n
        return f"WER {wer:.2f}{_span([r['wer'] for r in runs])}, whole {whole:.2f} ({words} words)"
    n = sum(r["n"] for r in runs)
    hits = round(sum(r["accuracy"] * r["n"] for r in runs))
    found = binomtest(hits, n).proportion_ci(method="wilson")
    span = _span([r["accuracy"] for r in runs])
    return f"{hits / n:.2f} [{found.low:.2f}, {found.high:.2f}]{span} ({n})"


def _span(values: Sequence[float]) -> str:
    return f" (folds {min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""


if __name__ == "__main__":
    print(table())
