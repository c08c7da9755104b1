"""The grids of the benchmark: frequencies, signal-to-noise ratios and the stimulus, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from otoscope.audio.binaural_presets import CHEN2026, DEFAULT, Grid
from otoscope.core.errors import UsageError
from otoscope.core.registry import suggestions

#: Four SNRs from inaudible to obvious (dB, broadband); with the six frequencies of the paper: 24 cells.
SNRS = (-22.0, -14.0, -6.0, 2.0)

GRIDS = {
    "small": replace(DEFAULT, name="small", frequencies_hz=(500.0, 1000.0, 4000.0), snrs_db=SNRS, n_seeds=12),
    # The paper counts 24 cells and does not publish which; 6 frequencies x 4 SNRs is our reading.
    "cells24": replace(DEFAULT, name="cells24", snrs_db=SNRS, n_seeds=40),
    "cells24-chen2026": replace(CHEN2026, name="cells24-chen2026", snrs_db=SNRS, n_seeds=40),
    "sound": replace(
        DEFAULT,
        name="sound",
        spec=replace(DEFAULT.spec, interaural_floor_db=-50.0),
        snrs_db=(-30.0, -22.0, -14.0, -6.0, 2.0, 10.0),
        n_seeds=100,
    ),
    "chen2026": CHEN2026,
}


def grid(name: str) -> Grid:
    """A named grid; a wrong name is a :class:`UsageError`."""
    if name not in GRIDS:
        near = suggestions(name, list(GRIDS)) or sorted(GRIDS)
        raise UsageError(f"there is no grid {name!r}", fix=f"There are: {', '.join(near)}.")
    return GRIDS[name]


def numbers(text: str | float | None, what: str) -> tuple[float, ...] | None:
    """``"500 1000"`` as numbers: how a task's parameter lists them. None stays None."""
    if text is None:
        return None
    try:
        found = tuple(float(x) for x in str(text).split())
    except ValueError as e:
        raise UsageError(f"{what} must be numbers with spaces between, got {text!r}") from e
    if not found or len(set(found)) != len(found):
        raise UsageError(f"{what} must be one or more different numbers, got {text!r}")
    return found


def seeds_per_shard(cells: Sequence[object] | int, target: int = 96) -> int:
    """Whole seeds per shard, so that a shard shares their noises and a longer run only appends shards."""
    n = cells if isinstance(cells, int) else len(cells)
    return max(1, round(target / max(1, n)))
