"""Spans of time as one anchor per latent frame.

Source: the behaviour of SAM Audio's published processor (arXiv 2512.18099). A frame is null unless a span holds it; a
span holds the frames from ``ceil(start)`` up to, not with, ``ceil(end)``, in frames; where spans overlap the later one
counts. That times are rounded to a millionth of a frame first, so that 0.28 s of 25 Hz is frame 7 and not 8 by floating
point, is ours, and so are the refusals.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from otoscope.core.errors import InputError
from otoscope.core.nouns import Span
from otoscope.models.separators.dit import NULL, UNWANTED, WANTED

_TOKENS = {"+": WANTED, "-": UNWANTED}


def anchors_of(spans: Sequence[Span], frames: int, rate: float) -> Tensor:
    """Anchors ``[frames]`` (int64) at ``rate`` frames per second. Raises :class:`InputError` on a span that is empty,
    begins before the sound, ends after its last frame, or holds no frame."""
    anchors = torch.full((frames,), NULL, dtype=torch.long)
    for span in spans:
        if span.sign not in _TOKENS:
            raise InputError(f"a span has the sign {span.sign!r}", fix="Use + (wanted) or - (not wanted).")
        if not 0 <= span.start_s < span.end_s <= frames / rate:
            raise InputError(
                f"the span from {span.start_s:g} to {span.end_s:g} s does not fit a sound of {frames / rate:g} s",
                fix="Spans begin before they end, within the sound.",
            )
        first, end = (math.ceil(round(t * rate, 6)) for t in (span.start_s, span.end_s))
        if first >= end:
            raise InputError(
                f"the span from {span.start_s:g} to {span.end_s:g} s holds no frame of {1 / rate:g} s",
                fix="Make it longer.",
            )
        anchors[first:end] = _TOKENS[span.sign]
    return anchors
