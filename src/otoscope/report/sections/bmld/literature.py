"""Numbers from the literature that come with the benchmark: people (1999) and the paper (2026)."""

from __future__ import annotations

import math

from otoscope.tasks.bmld.literature import paper, people

__all__ = ["human_bmld", "human_threshold", "paper", "people"]


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
