"""Print the tiny separator's held-out curves by number of solver steps, as Markdown tables.

``python tools/separator_curves.py`` prints the tables of ``docs/explanation/models/tiny-separator.md``: as it is used,
and, with ``--warm``, from the noise that it was trained with. ``--measure ../shared/audio/manifest.jsonl`` measures the
latter again with the package's weights and writes the figures into the package.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from otoscope.models.bundled.tiny_separator import FACTS, about

STEPS = ("1", "2", "4", "8", "16", "32", "64")


def rows(which: str = "held_out") -> list[list[str]]:
    """A line per origin, kind and metric: mean and 95 % interval by number of steps."""
    found: list[list[str]] = []
    for origin, kinds in about()[which].items():
        for kind, metrics in kinds.items():
            for metric, curve in metrics.items():
                n = 1 if metric.endswith("sdr_db") or metric == "si_sdri_db" else 2 if metric == "power_db" else 3
                cells = {s: f"{v:.{n}f} [{low:.{n}f}, {high:.{n}f}]" for s, (v, low, high, _) in curve.items()}
                found.append([f"{origin} {kind}", f"`{metric}`", *(cells.get(s, "") for s in STEPS)])
    return found


def table(which: str = "held_out") -> str:
    header = ["mixtures, asked for", "metric", *STEPS]
    lines = [header, ["---"] * len(header), *rows(which)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def remeasure(audio: Path) -> None:
    import torch
    from train_tiny_separator import HELD_GENERATED, warm

    from otoscope.models.bundled.separator_network import RATE, TinyNetwork
    from otoscope.models.bundled.tiny_separator import _read_into
    from otoscope.training.separation.mixtures import pool

    torch.set_num_threads(1)
    network = TinyNetwork(about()["vocabulary"])
    _read_into(network)
    found = {**about(), "held_out_warm": warm(network.eval(), pool(audio, RATE, generated=HELD_GENERATED, held=True))}
    FACTS.write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")
    about.cache_clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warm", action="store_true")
    parser.add_argument("--measure", type=Path, help="manifest.jsonl of recordings")
    chosen = parser.parse_args()
    if chosen.measure is not None:
        remeasure(chosen.measure)
    print(table("held_out_warm" if chosen.warm or chosen.measure else "held_out"))


if __name__ == "__main__":
    main()
