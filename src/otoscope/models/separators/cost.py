"""Operations of one evaluation of the flow network, counted from its sizes (sheet formulae; a multiply-add is two).

Norms, activations, rotations, softmax and additions are left out: they are linear in the frames and small.
"""

from __future__ import annotations

from otoscope.core.costs import EvaluationCost
from otoscope.models.separators.dit import DiTConfig


def evaluation_cost(config: DiTConfig, frames: int, tokens: int) -> EvaluationCost:
    """Of batch 1 over ``frames`` frames and ``tokens`` tokens (at least one: the time)."""
    d, t, s = config.dim, frames, max(tokens, 1)
    projection, product = 2 * t * d * d, 2 * t * t * d
    memory = 2 * s * d * d
    before = 2 * t * 3 * config.channels * d + 2 * (2 * t * 3 * d * d)  # input projection, two convolutions over 3
    text = 2 * s * config.text_dim * d + 3 * memory
    time = 2 * (config.frequencies * d * 2 + d * d) + 2 * d * 6 * d
    paths = 2 * t * d * ((config.video_dim or 0) + (config.anchor_dim or 0))
    return EvaluationCost(
        layers=config.layers,
        self_attention=4 * projection + 2 * product,
        attention_map=2 * projection + product,
        cross_attention=2 * projection + 2 * memory + 2 * (2 * t * s * d),
        feed_forward=3 * 2 * t * d * config.hidden,
        rest=before + text + time + paths + 2 * t * d * config.outputs,
    )
