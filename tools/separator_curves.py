"""Print the tiny separator's held-out curves by number of solver steps, as Markdown tables.

``python tools/separator_curves.py`` prints the tables of ``docs/explanation/models/tiny-separator.md``: as it is
used, with ``--which warm`` from the noise that it was trained with, with ``--which drawn`` on mixtures that are drawn
as those of its training. ``--measure ../shared/audio/manifest.jsonl`` measures these two again with the package's
weights and writes the figures into the package.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from otoscope.models.bundled.tiny_separator import FACTS, about

STEPS = ("1", "2", "4", "8", "16", "32", "64")
#: Names of the tables, and where their figures are kept.
KEPT = {"cool": "held_out", "drawn": "held_out_drawn", "warm": "held_out_warm"}


def rows(which: str = "held_out") -> list[list[str]]:
    """A line per origin, kind and metric: mean and 95 % interval by number of steps."""
    found: list[list[str]] = []
    for origin, kinds in about()[which].items():
        for kind, metrics in kinds.items():
            for metric, curve in metrics.items():
                n = 1 if metric.endswith(("sdr_db", "mask_db", "sdri_db")) else 2 if metric == "power_db" else 3
                cells = {s: f"{v:.{n}f} [{low:.{n}f}, {high:.{n}f}]" for s, (v, low, high, _) in curve.items()}
                found.append([f"{origin} {kind}", f"`{metric}`", *(cells.get(s, "") for s in STEPS)])
    return found


def table(which: str = "held_out") -> str:
    header, found = ["mixtures, asked for", "metric", *STEPS], rows(which)
    used = [i for i in range(len(header)) if i < 2 or any(line[i] for line in found)]
    lines = [[line[i] for i in used] for line in (header, ["---"] * len(header), *found)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def remeasure(audio: Path) -> None:
    import torch
    from train_tiny_separator import HELD_GENERATED, drawn, warm

    from otoscope.models.bundled.separator_network import RATE, TinyNetwork
    from otoscope.models.bundled.tiny_separator import _read_into
    from otoscope.training.separation.mixtures import pool

    torch.set_num_threads(1)
    network = TinyNetwork(about()["vocabulary"])
    _read_into(network)
    network.eval()
    held = pool(audio, RATE, generated=HELD_GENERATED, held=True)
    found = {**about(), "held_out_warm": warm(network, held), "held_out_drawn": drawn(network, held)}
    FACTS.write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")
    about.cache_clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--which", choices=list(KEPT), default="cool")
    parser.add_argument("--measure", type=Path, help="manifest.jsonl of recordings")
    chosen = parser.parse_args()
    if chosen.measure is not None:
        remeasure(chosen.measure)
    print(table(KEPT[chosen.which]))


if __name__ == "__main__":
    main()
