"""Audio Flamingo 3 (arXiv 2507.08128): a Whisper encoder over windows of 30 s, 25 tokens a second, before a Qwen
decoder.

A clip is cut into windows as the family's processor does it, the last one as long as it is. The processor stops at
600 s and drops the rest with a warning; here such a clip is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from otoscope.models.audiolms.family import AudioFamily, Clip, Heard, whisper_tokens


class AudioFlamingo3(AudioFamily):
    name = "Audio Flamingo 3"
    network_class = "AudioFlamingo3ForConditionalGeneration"
    encoder = ("audio_tower", "multi_modal_projector")
    handed_over = "multi_modal_projector"
    one_clip = True
    notes = ("one clip per prompt, at most 600 s; longer ones are refused",)

    @property
    def limit_s(self) -> float:
        return float(self.described.get("max_audio_len", 600))

    def hear(self, clips: Sequence[Clip]) -> Heard:
        size = int(self.extractor.n_samples)
        windows = [[clip[i : i + size] for i in range(0, len(clip), size)] for clip in clips]
        flat = [window for clip in windows for window in clip]
        found = self.extract(flat, padding="max_length", truncation=False, return_attention_mask=True)
        mask = found["attention_mask"]
        tokens = iter([whisper_tokens(int(n)) for n in mask.sum(-1)])
        inputs = {"input_features": found["input_features"], "input_features_mask": mask}
        return Heard(inputs, tuple(sum(next(tokens) for _ in clip) for clip in windows))
