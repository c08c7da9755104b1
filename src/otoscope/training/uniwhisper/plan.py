"""What a run will cost, before anything is loaded: arithmetic over the recipe and the configs, all of it an estimate.

A transformer costs 2 FLOPs per weight and position, attention ``4 n d`` a position and layer more; a backward pass
costs twice the forward pass, and a frozen language model half of that (gradients go through it and stop at no
weight)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from otoscope.core.errors import ModelError
from otoscope.training.uniwhisper.network import Fresh
from otoscope.training.uniwhisper.recipe import Recipe

#: Dense bf16 FLOPs a second and bytes of memory of a card (makers' figures); below, the share of the former reached.
CARDS = {
    "h100": (989e12, 80e9),
    "h200": (989e12, 141e9),
    "a100": (312e12, 80e9),
    "l40s": (362e12, 48e9),
    "4090": (165e12, 24e9),
    "cpu-core": (60e9, 8e9),
}
REACHED = 0.4
#: Tokens of an instruction and a word, about.
_ASKED, _PER_WORD = 24, 1.4


@dataclass(frozen=True)
class Plan:
    """Of the whole run: hours of sound (as batched, repeats counted), positions, FLOPs, hours on a card, and bytes."""

    sound_hours: float
    clips: float
    answer_tokens: float
    encoder_positions: float
    flops: float
    hours: float
    bytes: float
    card: str
    weights_trained: float
    weights_frozen: float


def plan(recipe: Recipe, card: str = "h100") -> Plan:
    """The estimate. Reads manifests and configs, no weights and no sounds. Raises :class:`ModelError` on a model whose
    config is not on this machine."""
    if card not in CARDS:
        raise ModelError(f"no figures are known of a {card}", fix=f"Known: {', '.join(CARDS)}.")
    lm = _config(recipe, recipe.decoder["source"]).get_text_config()
    sources = recipe.load_sources()
    p = recipe.mixture.probabilities(sources, 0.5)
    mean_s = float(
        sum(x * sum(r.duration_s for r in s.records) / len(s.records) for x, s in zip(p, sources, strict=True))
    )
    words = float(sum(x * sum(r.words for r in s.records) / len(s.records) for x, s in zip(p, sources, strict=True)))
    o, full = recipe.optimise, recipe.run.full_share
    sound_s = o.steps * o.accumulate * recipe.batch.seconds
    clips = sound_s / mean_s
    size = _encoder(recipe)
    padded_s = sound_s * (1 + full * (size.window_s / 2 / mean_s - 1) if mean_s < size.window_s else 1)
    if size.steps:  # CLAP pays for whole windows
        padded_s = clips * size.window_s
    encoder_flops = 3 * padded_s * size.flops_s(mean_s)
    text = clips * (_ASKED + _PER_WORD * words) + sound_s * size.tokens_hz(float(recipe.adapter.get("rate_hz", 25.0)))
    kind = recipe.decoder.get("kind", "frozen")
    own = kind == "whisper"  # it attends across to every state, and no token of its own is sound
    d, n = lm.hidden_size, lm.decoder_layers if own else lm.num_hidden_layers
    lm_weights = n * (8 * d**2 + 2 * d * lm.decoder_ffn_dim if own else 4 * d**2 + 3 * d * lm.intermediate_size)
    if own:
        text = clips * (_ASKED + _PER_WORD * words)
    frozen = kind in ("frozen", "lora")
    lm_flops = text * 2 * (lm_weights + d * lm.vocab_size) * (2 if frozen else 3)
    speed, _ = CARDS[card]
    trained = size.weights + size.width * d + d**2 + (0 if frozen else lm_weights)
    if kind == "lora":  # four maps of attention and three of the feed-forward part a layer
        trained += n * int(recipe.decoder.get("rank", 16)) * (4 * 2 * d + 3 * (d + lm.intermediate_size))
    held = lm_weights + d * lm.vocab_size if frozen else 0
    activations = recipe.batch.seconds * padded_s / sound_s * size.kept_s * (2 if recipe.run.checkpointing else 34)
    memory = trained * (4 + 4 + 8 + 4) + held * 2 + activations * 2
    flops = encoder_flops + lm_flops
    return Plan(
        sound_s / 3600, clips, clips * _PER_WORD * words, padded_s * size.states_hz, flops,
        flops / (speed * REACHED) / 3600, memory, card, trained, held,
    )  # fmt: skip


@dataclass(frozen=True)
class _Size:
    """Of an encoder: ``(positions a second, width, feed-forward width)`` of every layer, ``attended`` positions that
    each attends to (None: those of the whole sound), its window, and CLAP's steps in a window (0: not CLAP)."""

    layers: Sequence[tuple[float, int, int]]
    window_s: float
    attended: int | None = None
    steps: int = 0

    @property
    def width(self) -> int:
        return self.layers[-1][1]

    @property
    def weights(self) -> float:
        return sum(4 * d**2 + 2 * d * ffn for _, d, ffn in self.layers)

    @property
    def states_hz(self) -> float:
        return self.steps / self.window_s if self.steps else self.layers[-1][0]

    @property
    def kept_s(self) -> float:
        """Numbers of one state through all layers, a second."""
        return sum(hz * d for hz, d, _ in self.layers)

    def flops_s(self, sound_s: float) -> float:
        """Forward, a second of sound, in sounds of ``sound_s``."""
        return sum(
            hz * (2 * (4 * d**2 + 2 * d * ffn) + 4 * d * (self.attended or hz * sound_s)) for hz, d, ffn in self.layers
        )

    def tokens_hz(self, asked: float) -> float:
        """Tokens of sound a second, where the adapter is asked for ``asked`` of Whisper's 50 states."""
        return self.states_hz * asked / 25.0 if self.steps else asked


def _encoder(recipe: Recipe) -> _Size:
    if "fresh" in recipe.encoder:
        fresh = Fresh(**recipe.encoder["fresh"])
        return _Size([(50.0, fresh.width, 4 * fresh.width)] * fresh.layers, fresh.window_s)
    c = _config(recipe, recipe.encoder["source"])
    if recipe.encoder.get("kind") == "clap":
        a = c.audio_config
        side, ratio = a.spec_size // a.patch_stride[0], a.spec_size // a.num_mel_bins
        widths = [a.patch_embeds_hidden_size * 2**i for i in range(len(a.depths))]
        stages = [
            (side**2 / 4**i / 10.0, d, round(a.mlp_ratio * d))
            for i, (d, depth) in enumerate(zip(widths, a.depths, strict=True))
            for _ in range(depth)
        ]
        return _Size(stages, 10.0, a.window_size**2, side // 2 ** (len(a.depths) - 1) * ratio)
    return _Size([(50.0, c.d_model, c.encoder_ffn_dim)] * c.encoder_layers, c.max_source_positions / 50)


def _config(recipe: Recipe, source: Any) -> Any:
    import transformers as tr

    place = recipe.folder / str(source)
    try:
        return tr.AutoConfig.from_pretrained(str(place) if place.is_dir() else str(source))
    except (OSError, ValueError) as e:
        raise ModelError(f"its config cannot be read: {str(e).splitlines()[0]}", where=str(source)) from e
