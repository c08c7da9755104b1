"""Qwen2-Audio (arXiv 2407.10759): a Whisper encoder, pooled to 25 tokens a second, before a Qwen decoder.

A clip is one window of the extractor, 30 s as published. The encoder's positions end there, so what is longer is
refused; several clips per prompt are heard.
"""

from __future__ import annotations

from collections.abc import Sequence

from otoscope.models.audiolms.family import AudioFamily, Clip, Heard, whisper_tokens


class Qwen2Audio(AudioFamily):
    name = "Qwen2-Audio"
    network_class = "Qwen2AudioForConditionalGeneration"
    encoder = ("audio_tower", "multi_modal_projector")
    handed_over = "multi_modal_projector"
    fewest_tokens = 2  # the library takes a lone token for a clip that is yet to be widened, and fails
    notes = ("a clip lasts at most 30 s (one window of its extractor); longer ones are refused",)

    @property
    def limit_s(self) -> float:
        return self.extractor.n_samples / self.rate

    def built_in(self) -> str | None:
        from transformers import Qwen2AudioProcessor

        found = vars(Qwen2AudioProcessor).get("default_chat_template")  # a property that reads nothing
        return None if found is None else str(found.fget(None))

    def hear(self, clips: Sequence[Clip]) -> Heard:
        found = self.extract(clips, padding="max_length", truncation=False, return_attention_mask=True)
        mask = found["attention_mask"]
        inputs = {"input_features": found["input_features"], "feature_attention_mask": mask}
        return Heard(inputs, tuple(whisper_tokens(int(n)) for n in mask.sum(-1)))
