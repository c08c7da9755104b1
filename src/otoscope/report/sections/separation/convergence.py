"""Where attention settles: entropy and drift of every layer and head over flow time, and which layers that calls
stable."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from otoscope.experiments.fitting import learned_of
from otoscope.report.figures.heat import Heat, heat_svg
from otoscope.report.run import Run
from otoscope.report.section import Block, Panels, Prose, Section, Table
from otoscope.report.tables import number
from otoscope.results.outputs import KeptOutputs

if TYPE_CHECKING:
    from otoscope.interventions.convergence import Convergence

#: Cells of a map that a page carries; above, heads are averaged.
_CELLS = 6000
_SIZE = (5.6, 4.6)


def convergence(run: Run) -> Section | None:
    """One pair of maps per model that was calibrated; None where none was."""
    from otoscope.interventions.convergence import Convergence

    assert run.store is not None
    kept, told = KeptOutputs(run.store), dict[str, dict[str, Any]]()
    for cell in run.cells:
        identity = json.loads(cell.identity)
        learned = learned_of(identity, kept)
        if learned is not None and identity["fit"]["learns"]["class"] == "convergence":
            told.setdefault(cell.model, learned)
    if not told:
        return None
    lead = Prose(
        "Measured on the calibration items, with nothing changed. Entropy is that of the rows of a self-attention map "
        "over the logarithm of its length (1: uniform). Drift is the mean total variation between the maps of "
        "consecutive evaluations, which sees a map that moves and keeps its spread."
    )
    blocks: list[Block] = [lead]
    for i, (model, learned) in enumerate(told.items()):
        blocks += _of_model(f"convergence{i}", model, Convergence.from_json(learned), int(learned["n_items"]))
    return Section("convergence", "When attention settles", blocks)


def _of_model(name: str, model: str, found: Convergence, n_items: int) -> list[Block]:
    from otoscope.interventions.convergence import classify

    entropy, drift = found.entropy.mean(0), found.drift.mean(0)
    drift = np.concatenate([np.full_like(drift[:1], np.nan), drift[1:]])  # the first evaluation has nothing before it
    n_heads = entropy.shape[2]
    by_head = entropy.size <= _CELLS
    maps = [_heat(word, x, found.times, by_head) for word, x in (("entropy", entropy), ("drift", drift))]
    panels = [heat_svg(f"{name}-{h.title}", f"{h.title} by layer and flow time, {model}", h, _SIZE) for h in maps]
    ranges = "; ".join(f"{h.title} from {h.span[0]:.3f} (faint) to {h.span[1]:.3f} (dark)" for h in maps)
    rows = f"one row a head, {n_heads} a layer" if by_head else f"one row a layer, the mean of its {n_heads} heads"
    said = classify(found)
    layers = []
    for i, (h, d) in enumerate(zip(said.settles_entropy, said.settles_drift, strict=True)):
        kind = "stable" if i in said.stable else "fast"
        note = "the two measures disagree" if i in said.disagree else ""
        layers.append([str(i), number(h, 3), number(d, 3), kind, note])
    text = (
        "A layer settles at the first evaluation after which its rate of change stays below the 75th percentile of all "
        "layers' rates, and is stable where that is at flow time 0.25 or before, by entropy (the rule is ours). "
    )
    text += (
        f"Entropy and drift disagree on {len(said.disagree)} of {len(layers)} layers."
        if said.disagree
        else "Entropy and drift agree on every layer."
    )
    header = ["layer", "settles, by entropy", "by drift", "called", ""]
    caption = f"{model}, mean of {n_items} items; {rows}. Shades: {ranges}."
    return [
        Panels(name, panels, (), caption),
        Prose(text, "caution" if said.disagree else "text"),
        Table(f"Flow time at which each layer settles, {model}", header, layers, compact=True),
    ]


def _heat(title: str, values: Any, times: Any, by_head: bool) -> Heat:
    """``values`` ``[evaluations, layers, heads]``."""
    n_times, n_layers, n_heads = values.shape
    rows = values.reshape(n_times, -1).T if by_head else values.mean(2).T
    each = n_heads if by_head else 1
    step = max(1, n_times // 6)
    ticks = [(i, f"{times[i]:.2g}") for i in range(0, n_times, step)]
    return Heat(
        title, "flow time", "layer", rows, [str(i) for i in range(n_layers)], range(0, n_layers * each, each), ticks
    )
