"""Voxtral (arXiv 2507.13264): a Whisper encoder over windows of 30 s, 12.5 tokens a second, before a Mistral decoder.

A clip is filled up with silence to whole windows, as the family's processor does it, and the silence becomes tokens as
well: a clip of 1 s is 375 tokens. The text is Mistral's instruction format, which comes as a tokenizer file
(``tekken.json``) without a chat template.
"""

from __future__ import annotations

from collections.abc import Sequence

from otoscope.core.nouns import Prompt
from otoscope.models.audiolms.family import AudioFamily, Clip, Heard


class Voxtral(AudioFamily):
    name = "Voxtral"
    network_class = "VoxtralForConditionalGeneration"
    encoder = ("audio_tower", "multi_modal_projector")
    handed_over = "multi_modal_projector"
    tokenizer_begins = False
    system_before_sound = False  # mistral-common refuses it for the tokenizer's version (7)
    notes = (
        "clips are filled up with silence to multiples of 30 s; the silence is tokens too (375 per 30 s)",
        "takes no system message together with sound",
    )

    def _usable(self, template: str | None) -> str | None:
        return None  # the format is the tokenizer's, and fixed

    def render(self, prompt: Prompt) -> str:
        system = "" if prompt.system is None else f"[SYSTEM_PROMPT]{prompt.system}[/SYSTEM_PROMPT]"
        clips = f"[BEGIN_AUDIO]{self.placeholder}" * len(prompt.audio)
        return f"<s>{system}[INST]{clips}{prompt.text}[/INST]"

    def hear(self, clips: Sequence[Clip]) -> Heard:
        import torch

        audio, window = self.config.audio_config, int(self.extractor.n_samples)
        windows, per_clip = [], []
        for clip in clips:
            found = self.extract([clip], padding=True, truncation=False, pad_to_multiple_of=window)["input_features"]
            mel, frames = found.shape[1:]
            size = int(self.extractor.nb_max_frames)
            windows.append(found.reshape(mel, frames // size, size).transpose(0, 1))
            per_clip.append(frames // size)
        # The projector takes as many positions at once as make up its width.
        each = audio.max_source_positions * audio.hidden_size // audio.intermediate_size
        return Heard({"input_features": torch.cat(windows)}, tuple(n * each for n in per_clip))
