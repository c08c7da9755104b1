"""A whole separator with random weights, of the tiny one's parts. Named in tests as ``file:.../small.py#Small``."""

from __future__ import annotations

import torch

from otoscope.core.nouns import Card
from otoscope.models.bundled.mdct import Mdct
from otoscope.models.bundled.separator_network import WordTable
from otoscope.models.separators.dit import DiTConfig, FlowNetwork
from otoscope.models.separators.flow import FlowSeparator, Sampling
from otoscope.tasks.separation.words import read_words

VOCABULARY = tuple(sorted({"a", *["man", "woman", "speaking", "rain", "dog", "barking", "someone", "person"]}))
CONFIG = DiTConfig(
    dim=64,
    heads=4,
    layers=4,
    latent=24,
    text_dim=24,
    video_dim=None,
    anchor_dim=8,
    frequencies=32,
    multiple_of=8,
    max_positions=512,
)


class Small(FlowSeparator):
    """``layers`` of random weights, with nothing at a value that hides a mistake: no closed gate, no flat map."""

    def __init__(self, solver: str = "euler", steps: int = 8, seed: int = 0) -> None:
        torch.manual_seed(seed)
        network = FlowNetwork(CONFIG).eval().requires_grad_(False)
        network.embed_anchors.gate.fill_(0.5)
        network.transformer.output.weight *= 3
        for layer in network.transformer.layers:
            for attention in (layer.attention, layer.cross_attention):
                attention.q_norm.weight *= 2
        words = read_words()
        spoken = " ".join([*(words.voice(s) for s in ("female", "male", None)), *VOCABULARY])
        table = WordTable(sorted(set(spoken.split())), CONFIG.text_dim).requires_grad_(False)
        card = Card("small", "separator", "random weights", rate=8_000, channels=1)
        sampling = Sampling(solver, steps)
        super().__init__(card, network, Mdct(8_000, 16, 8), table, sampling, {"small": seed})
