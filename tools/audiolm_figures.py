"""Print the tiny audio language model's held-out figures as a Markdown table.

``python tools/audiolm_figures.py`` prints the table of ``docs/explanation/models/tiny-audiolm.md``.
"""

from __future__ import annotations

from typing import Any

from otoscope.models.bundled.tiny_audiolm import about


def table() -> str:
    """A line per figure: chance, the folds, and the shipped weights on the package's held-out sounds."""
    facts = about()
    columns = [
        (f"without {fold['left_out']}, {fold['recipe']['steps']} steps", fold["held_out"]) for fold in facts["folds"]
    ]
    columns.append(("shipped, generated", facts["generated"]["held_out"]))
    names = list(dict.fromkeys(name for _, figures in columns for name in figures))
    header = ["question", "chance", *(title for title, _ in columns)]
    rows = [[f"`{name}`", _chance(name, columns), *(_cell(f.get(name)) for _, f in columns)] for name in names]
    return "\n".join(f"| {' | '.join(line)} |" for line in [header, ["---"] * len(header), *rows])


def _chance(name: str, columns: list[tuple[str, dict[str, Any]]]) -> str:
    found = next(figures[name] for _, figures in columns if name in figures)
    return f"{found['chance']:.2f}" if "chance" in found else ""


def _cell(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    if "wer" in found:
        return f"WER {found['wer']:.2f}, whole {found['exact']:.2f} ({found['words']} words)"
    low, high = found["interval"]
    return f"{found['accuracy']:.2f} [{low:.2f}, {high:.2f}] ({found['n']})"


if __name__ == "__main__":
    print(table())
