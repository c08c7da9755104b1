"""CLAP's audio encoder in Whisper's place: the paper's ablation B, by ``ClapModel`` of ``transformers``.

HTSAT hears a window of a fixed length (10 s, 48 kHz) folded into an image; what is shorter is repeated and filled up
by the checkpoint's own extractor, and costs as much. Its last states are ``T`` steps in time (32, 3.2 a second) for a
few bands, which are averaged here, so that one step is one token of sound. Records are read at 16 kHz and resampled, so
that nothing above 8 kHz is heard. The batch norm over mel bands
keeps its statistics."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from otoscope.core.errors import ModelError
from otoscope.models.encoders.hf_clap import over_bands, spectra_of, steps_of
from otoscope.readouts.library import quiet


class ClapTower(nn.Module):
    """``ClapAudioModel`` that gives ``[B, T, d]``. ``frames``: mel frames of a window."""

    def __init__(self, model: Any, frames: int) -> None:
        super().__init__()
        self.model, self.frames, self.steps = model, frames, steps_of(model.config)

    @property
    def width(self) -> int:
        return int(self.model.audio_encoder.num_features)

    @property
    def layers(self) -> nn.ModuleList:
        """Its stages."""
        found: nn.ModuleList = self.model.audio_encoder.layers
        return found

    @property
    def per_token(self) -> Fraction:
        """Mel frames of one token."""
        return Fraction(self.frames, self.steps)

    def forward(self, mel: Tensor) -> Tensor:
        """``[B, T, d]`` of ``mel`` ``[B, 1, mels, F]``, a whole window."""
        states: Tensor = over_bands(self.model(input_features=mel.transpose(2, 3)))
        return states

    def train(self, mode: bool = True) -> ClapTower:
        super().train(mode)
        self.model.audio_encoder.batch_norm.eval()
        return self


def clap_encoder(source: str | Path) -> tuple[ClapTower, Any]:
    """The audio encoder of a CLAP checkpoint (folder or hub id) and its feature extractor. Raises
    :class:`ModelError`."""
    import transformers as tr

    try:
        with quiet():
            model = tr.ClapModel.from_pretrained(str(source), dtype=torch.float32).audio_model
            extractor = tr.ClapFeatureExtractor.from_pretrained(str(source))
    except (OSError, ValueError) as e:
        raise ModelError(f"is no CLAP checkpoint: {str(e).splitlines()[0]}", where=str(source)) from e
    if model.config.enable_fusion:
        fix = "Use an unfused one; records are no longer than its window."
        raise ModelError("fuses several views of a long sound", where=str(source), fix=fix)
    return ClapTower(model, spectra_of(extractor)), extractor


def export_clap(tower: ClapTower, extractor: Any, folder: str | Path, source: str) -> Path:
    """A ``ClapModel`` folder with its feature extractor; all but the audio encoder is that of ``source``."""
    import transformers as tr

    target = Path(folder)
    try:
        with quiet():
            whole = tr.ClapModel.from_pretrained(source, dtype=torch.float32)
    except (OSError, ValueError) as e:
        raise ModelError(f"is no CLAP checkpoint any more: {str(e).splitlines()[0]}", where=source) from e
    whole.audio_model.load_state_dict({n: t.detach().cpu() for n, t in tower.model.state_dict().items()}, strict=True)
    with quiet():
        whole.save_pretrained(target)
    extractor.save_pretrained(target)
    return target
