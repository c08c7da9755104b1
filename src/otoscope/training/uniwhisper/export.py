"""The encoder by itself, as other software reads it.

Whisper's form (the default): a ``WhisperModel`` folder, 50 frames a second, the final norm on every frame. The
decoder is the source checkpoint's own, where there was one; an encoder that was drawn has none. Pooled form: Audio
Flamingo 3's encoder folder, 25 frames a second, the final norm *after* the mean of two frames, as it was trained. The
two are close, not equal: name the form beside a result (fact sheet, section 7, trap 6)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from otoscope.core.errors import ModelError
from otoscope.readouts.library import quiet
from otoscope.training.uniwhisper.network import Listener


def export(
    listener: Listener,
    config: Any,
    folder: str | Path,
    source: str | None = None,
    *,
    half: bool = False,
    pooled: bool = False,
) -> Path:
    """Write the encoder of ``listener`` to ``folder`` with its feature extractor. ``source``: the Whisper checkpoint
    that it came from, whose decoder is kept. ``half``: in float16."""
    import transformers as tr

    target = Path(folder)
    tensors = state(listener)
    if pooled:
        from otoscope.training.uniwhisper.network import encoder_config

        model: Any = tr.AudioFlamingo3Encoder(encoder_config(config))
        model.load_state_dict(tensors, strict=True)
    else:
        if source is None:
            model = tr.WhisperModel(config)
        else:
            try:
                with quiet():
                    model = tr.WhisperModel.from_pretrained(source, dtype=torch.float32)
            except (OSError, ValueError) as e:
                raise ModelError(f"is no Whisper checkpoint any more: {str(e).splitlines()[0]}", where=source) from e
        model.encoder.load_state_dict(tensors, strict=True)
    if half:
        model = model.half()
    with quiet():
        model.save_pretrained(target)
    window_s = round(config.max_source_positions / 50)
    tr.WhisperFeatureExtractor(feature_size=config.num_mel_bins, chunk_length=window_s).save_pretrained(target)
    return target


def state(listener: Listener) -> dict[str, Tensor]:
    """The encoder's tensors under Whisper's names."""
    found = listener.encoder.state_dict()
    return {
        name.replace("embed_positions.table.", "embed_positions."): t.detach().cpu().float()
        for name, t in found.items()
    }
