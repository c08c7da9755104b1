"""What single heads do with sound, probed without position: the statistics that HeadRouter routes by.

Text-to-audio probing (arXiv 2604.23717, as the fact sheet reads it, section 2.1): ``p_h[t, j]`` is the softmax over the
audio tokens of ``q_h[t] k_h[j] / sqrt(d)`` before the rotary embedding, ``a_h[j]`` its mean over the text tokens ``t``.
Selectivity ``s_h = 1 - H(a_h) / log N`` is 0 for a flat head and 1 for one that hears one token (statistic ours).
Responsiveness ``m_h`` is the share of a head's whole row that falls on sound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from otoscope.core.errors import InputError
from otoscope.interventions.prune.engine import Row
from otoscope.interventions.prune.probing import attention_rows, logits, projected, rotated, scaling

Rows = Literal["all", "last"]


@dataclass(frozen=True, eq=False)
class HeadStats:
    """Of one prompt: ``received`` ``[H, N]`` (each row sums to 1), ``selectivity`` and ``responsiveness`` ``[H]``."""

    received: Tensor
    selectivity: Tensor
    responsiveness: Tensor


def head_stats(row: Row, rows: Rows = "all", rope: bool = False) -> HeadStats:
    """Probe ``row``. Raises :class:`InputError` where no text follows the sound."""
    text = row.text if rows == "all" else row.text[-1:]
    if not len(text):
        raise InputError("no text follows the sound, so there is nothing to probe it with")
    q, k = projected(row)
    if rope:
        q, k = (rotated(x, row.angles) for x in (q, k))
    received = logits(q[:, text], k[:, row.audio], scaling(row)).softmax(-1).mean(1)
    mass = attention_rows(row, q, k, text)[..., row.audio].sum(-1).mean(1)
    return HeadStats(received, selectivity(received), mass)


def selectivity(received: Tensor) -> Tensor:
    """``[H]`` of ``[H, N]``; 1 where there is a single token."""
    n = received.shape[-1]
    if n < 2:
        return torch.ones(received.shape[:-1], device=received.device)
    entropy = torch.special.entr(received.float()).sum(-1)
    return 1 - entropy / math.log(n)
