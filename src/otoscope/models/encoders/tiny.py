"""Small networks with random weights that need no file: to run anywhere, and as the level that a score must beat.

``tiny-wav2vec2`` is the wav2vec 2.0 architecture of ``transformers``, one channel. ``tiny-stereo`` is ours: one
stem of convolutions that see both ears at once, so that a random *binaural* encoder exists. Neither was ever trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otoscope.core.errors import UsageError
from otoscope.core.nouns import Card, Encoder
from otoscope.models.encoders.checkpoint import Checkpoint, check_init
from otoscope.models.encoders.hf import PretrainedEncoder
from otoscope.models.encoders.hf_family import Family

RATE = 16_000


def tiny_wav2vec2(init: str = "random", seed: int = 0, depth: int = 4, width: int = 64) -> Encoder:
    """``depth`` transformer blocks of ``width`` (a multiple of 16) over seven convolutions; 50 frames per second."""
    _must_be_random("tiny-wav2vec2", init, seed)
    _sizes("tiny-wav2vec2", depth, width)
    return TinyWav2Vec2(seed, depth, width)


def tiny_stereo(init: str = "random", seed: int = 0, depth: int = 2, width: int = 64) -> Encoder:
    """``depth`` transformer blocks of ``width`` (a multiple of 16) over four two-channel convolutions; 50 frames/s."""
    from otoscope.models.encoders.adapt import adapt
    from otoscope.models.encoders.tiny_stereo import TinyStereo

    _must_be_random("tiny-stereo", init, seed)
    _sizes("tiny-stereo", depth, width)
    return adapt(TinyStereo, name="tiny-stereo", params={"seed": seed, "depth": depth, "width": width})


class TinyWav2Vec2(PretrainedEncoder):
    """The configuration lives here instead of in a file."""

    def __init__(self, seed: int, depth: int, width: int) -> None:
        self.depth, self.width = depth, width
        super().__init__(Checkpoint("tiny-wav2vec2", "", init="random", seed=seed))

    @property
    def card(self) -> Card:
        return Card(
            name="tiny-wav2vec2",
            capability="encoder",
            summary=f"wav2vec 2.0 architecture, {self.depth} blocks of {self.width}, random weights",
            rate=RATE,
            channels=1,
            cues=frozenset({"waveform"}),
            licence="no weights",
            source="architecture: Baevski et al. 2020, arXiv 2006.11477; size and weights: ours",
            notes=("has learned nothing: its score is the level that a trained model must beat",),
            layers=(*range(self.depth + 1), "last"),
            extra={"init": "random", "seed": self.checkpoint.seed},
        )

    def identity(self) -> Mapping[str, Any]:
        c = self.checkpoint
        return {
            "kind": "tiny-wav2vec2",
            "version": 1,
            "depth": self.depth,
            "width": self.width,
            "init": "random",
            "seed": c.seed,
        }

    def _uses_code(self) -> bool:
        return False

    def _configure(self) -> Family:
        from transformers import Wav2Vec2Config

        from otoscope.models.encoders.hf_waveform import Waveform

        config = Wav2Vec2Config(
            hidden_size=self.width,
            num_hidden_layers=self.depth,
            num_attention_heads=self.width // 16,
            intermediate_size=2 * self.width,
            conv_dim=(32,) * 7,
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=4,
            vocab_size=8,
        )
        return Waveform(config, None, {}, "tiny-wav2vec2")

    def fresh(self) -> TinyWav2Vec2:
        return TinyWav2Vec2(self.checkpoint.seed, self.depth, self.width)


def _must_be_random(name: str, init: str, seed: int) -> None:
    if init != "random":
        raise UsageError(f"{name!r} has no trained weights", fix="Leave init out, or use init=random.")
    check_init(init, seed, name)


def _sizes(name: str, depth: int, width: int) -> None:
    if depth < 1 or width < 16 or width % 16:
        raise UsageError(f"depth={depth}, width={width} makes no network", where=name, fix="Width in steps of 16.")
