"""Qwen2.5-Omni (arXiv 2503.20215), its thinker: sound and text in, text out, 25 tokens a second.

The encoder works in windows of 2 s and has no limit of its own. The extractor is set to 300 s and would cut what is
longer; here it is told not to, so a clip may last as long as its tokens fit the decoder. The talker is not loaded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from otoscope.models.audiolms.family import AudioFamily, Clip, Heard, whisper_tokens


class Qwen25Omni(AudioFamily):
    name = "Qwen2.5-Omni"
    network_class = "Qwen2_5OmniThinkerForConditionalGeneration"
    encoder = ("audio_tower",)
    handed_over = "audio_tower.proj"
    notes = (
        "the thinker alone: text out, no speech",
        "clips longer than its extractor's 300 s are heard whole, up to the decoder's context",
    )

    @staticmethod
    def part(config: Any) -> Any:
        return getattr(config, "thinker_config", config)

    def hear(self, clips: Sequence[Clip]) -> Heard:
        longest, window = max(len(x) for x in clips), int(self.extractor.n_samples)
        # Frames near the end must see silence behind the sound, as they do within the window.
        size = window if longest <= window else longest + math.ceil(self.extractor.n_fft / 2)
        size += -size % int(self.extractor.hop_length)
        how = {"padding": "max_length", "max_length": size, "truncation": False, "return_attention_mask": True}
        found = self.extract(clips, **how)
        mask = found["attention_mask"]
        inputs = {"input_features": found["input_features"], "feature_attention_mask": mask}
        return Heard(inputs, tuple(whisper_tokens(int(n)) for n in mask.sum(-1)))
