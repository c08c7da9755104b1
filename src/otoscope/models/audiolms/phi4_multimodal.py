"""Phi-4-Multimodal (arXiv 2503.01743), as ``transformers`` has it: a conformer, 12.5 tokens a second, before a Phi
decoder with one matrix for queries, keys and values.

The extractor has no limit, and the conformer takes long clips in pieces of 500 frames by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from otoscope.core.nouns import Prompt
from otoscope.models.audiolms.family import AudioFamily, Clip, Heard

#: The encoder of transformers (5.24) adds its mask of booleans to the attention's logits, where one was to be excluded.
PADDING = "prompts alone: its encoder hears the padding behind a shorter clip; batch clips of one length, or one by one"


class Phi4Multimodal(AudioFamily):
    name = "Phi-4-Multimodal"
    network_class = "Phi4MultimodalForCausalLM"
    encoder = ("audio_embed",)
    handed_over = "audio_embed.down_proj_for_speech"
    fused = True
    breaks = (PADDING,)

    @property
    def audio_id(self) -> int:
        return int(self.config.audio_config.audio_token_id)

    def content(self, prompt: Prompt) -> Any:
        return self.placeholder * len(prompt.audio) + prompt.text  # its published template joins strings

    def built_in(self) -> str:
        return (
            "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|>{% endif %}"
        )

    def hear(self, clips: Sequence[Clip]) -> Heard:
        found = self.extract(clips)
        return Heard(found, tuple(int(n) for n in found["audio_embed_sizes"]))
