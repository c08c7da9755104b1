"""What a recipe names, loaded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from otoscope.training.uniwhisper.clap import ClapTower, clap_encoder, export_clap
from otoscope.training.uniwhisper.clap_layout import ClapLayout
from otoscope.training.uniwhisper.collate import Layout
from otoscope.training.uniwhisper.export import export
from otoscope.training.uniwhisper.mixture import Source
from otoscope.training.uniwhisper.network import (
    Adapter,
    Fresh,
    Listener,
    fresh_encoder,
    language_model,
    whisper_encoder,
)  # fmt: skip
from otoscope.training.uniwhisper.recipe import Recipe
from otoscope.training.uniwhisper.templates import Bank


@dataclass
class Parts:
    """What a recipe names, loaded: the network, its tokenizer and extractor, Whisper's config, and its sources.
    ``source``: the checkpoint that the encoder came from."""

    listener: Listener
    layout: Layout
    config: Any  # Whisper's; of CLAP None
    bank: Bank
    sources: list[Source]
    source: str | None

    def write(self, listener: Listener, folder: Path, *, pooled: bool = False) -> Path:
        """The encoder of ``listener`` in its own class and with its feature extractor (``pooled``: in Audio Flamingo
        3's class, which there is of Whisper alone)."""
        if isinstance(listener.encoder, ClapTower):
            return export_clap(listener.encoder, self.layout.extractor, folder, str(self.source))
        return export(listener, self.config, folder, self.source, pooled=pooled)


def build(recipe: Recipe) -> Parts:
    """Load what the recipe names. Raises :class:`ModelError`, :class:`InputError` and :class:`UsageError`."""
    import transformers as tr

    seed = recipe.run.seed
    source = recipe.encoder.get("source")
    config: Any = None
    encoder: Any
    if recipe.encoder.get("kind", "whisper") == "clap":
        encoder, extractor = clap_encoder(place(recipe, source))
        width = encoder.width
    else:
        if source is not None:
            encoder, config = whisper_encoder(place(recipe, source))
        else:
            encoder, config = fresh_encoder(Fresh(**recipe.encoder["fresh"]), seed)
        window_s = config.max_source_positions / 50
        extractor = tr.WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=int(window_s))
        width = config.d_model
    torch.manual_seed(seed)
    d = recipe.decoder
    lm, tokenizer = language_model(place(recipe, d["source"]), d.get("kind", "frozen"), rank=int(d.get("rank", 16)))
    torch.manual_seed(seed)
    out = lm.get_input_embeddings().weight.shape[1]
    adapter = Adapter(width, out, float(recipe.adapter.get("rate_hz", 25.0)))
    listener = Listener(encoder, adapter, lm, ctc=recipe.optimise.ctc > 0)
    if recipe.run.checkpointing:
        lm.gradient_checkpointing_enable({"use_reentrant": False})
        encoder.gradient_checkpointing_enable({"use_reentrant": False})
    per_token, start = (None, lm.start) if listener.crosses else (listener.per_token, None)
    kind = Layout if config is not None else ClapLayout
    layout = kind(tokenizer, extractor, per_token, recipe.run.full_share, start)
    sources = recipe.load_sources()
    bank = Bank.read(None if recipe.templates is None else recipe.folder / recipe.templates)
    bank = bank.with_labels([r for s in sources for r in s.records])
    return Parts(listener, layout, config, bank, sources, None if source is None else place(recipe, source))


def place(recipe: Recipe, source: Any) -> str:
    """A folder beside the recipe where there is one, else the name of a hub id."""
    beside = recipe.folder / str(source)
    return str(beside) if beside.is_dir() else str(source)
