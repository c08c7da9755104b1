"""Numbers from the literature that come with the benchmark: people (1999) and the paper (2026)."""

from __future__ import annotations

import json
import math
from functools import lru_cache
from importlib.resources import files
from typing import Any

_FOLDER = "data"


@lru_cache(maxsize=4)
def _load(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((files("otoscope.tasks.bmld") / _FOLDER / name).read_text(encoding="utf-8"))
    return content


def people() -> dict[str, Any]:
    """van de Par and Kohlrausch 1999: ``series`` of thresholds and BMLDs by masker bandwidth."""
    return _load("human_vandepar1999.json")


def paper() -> dict[str, Any]:
    """arXiv 2606.14820: ``series`` of its Figure 1, ``table_main``, ``table_ablations``, each with its evidence."""
    return _load("published_chen2026.json")


def human_bmld(bandwidth_hz: float | None) -> list[tuple[float, float, float]]:
    """``(frequency_hz, bandwidth_hz, BMLD in dB)`` of N0Spi at one masker bandwidth (None: each tone's widest)."""
    found = []
    for s in people()["series"]:
        if s["quantity"] == "bmld" and s["condition"] == "N0Spi":
            by_width = dict(zip(s["bandwidths_hz"], s["values"], strict=True))
            width = max(by_width) if bandwidth_hz is None else bandwidth_hz
            if width in by_width:
                found.append((float(s["frequency_hz"]), float(width), float(by_width[width])))
    return found


def human_threshold(frequency_hz: float, condition: str, bandwidth_hz: float) -> tuple[float, float] | None:
    """``(threshold in dB SNR, width it was measured with)`` in a masker of ``bandwidth_hz``; None for other tones.

    The widest measured masker, turned to the wider one at equal spectrum level: noise far from the tone adds to the
    overall level and not to the masking. The conversion is ours.
    """
    for s in people()["series"]:
        if s["quantity"] == "threshold" and s["frequency_hz"] == frequency_hz and s["condition"] == condition:
            width = float(s["bandwidths_hz"][-1])
            return float(s["values"][-1]) - 10.0 * math.log10(bandwidth_hz / width), width
    return None
