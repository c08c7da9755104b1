"""How the library itself is asked: its own network, its own processor, ``model.generate(do_sample=False)``.

The processors of Qwen2.5-Omni and Phi-4 cannot be constructed without image libraries, so theirs are put together from
the parts that sound needs; the code that runs is the library's. Voxtral's needs Mistral's package for the text, which
is written out here token by token.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import transformers as tr

from otoscope.core.nouns import Prompt

NETWORKS = {
    "qwen2_audio": tr.Qwen2AudioForConditionalGeneration,
    "qwen2_5_omni": tr.Qwen2_5OmniThinkerForConditionalGeneration,
    "voxtral": tr.VoxtralForConditionalGeneration,
    "audioflamingo3": tr.AudioFlamingo3ForConditionalGeneration,
    "phi4_multimodal": tr.Phi4MultimodalForCausalLM,
}


def processor(family: str, folder: Path) -> Any:
    if family in ("qwen2_audio", "audioflamingo3", "voxtral"):
        return tr.AutoProcessor.from_pretrained(folder)
    made = object.__new__(
        {"qwen2_5_omni": tr.Qwen2_5OmniProcessor, "phi4_multimodal": tr.Phi4MultimodalProcessor}[family]
    )
    made.tokenizer = tr.AutoTokenizer.from_pretrained(folder)
    made.chat_template = made.tokenizer.chat_template
    made.feature_extractor = made.audio_processor = tr.AutoFeatureExtractor.from_pretrained(folder)
    for what in ("audio", "image", "video"):
        setattr(made, f"{what}_token", getattr(made.tokenizer, f"{what}_token", None))
        setattr(made, f"{what}_token_id", getattr(made.tokenizer, f"{what}_token_id", None))
    return made


def inputs(family: str, folder: Path, prompts: Sequence[Prompt]) -> dict[str, Any]:
    """One padded batch, as the library makes it."""
    own = processor(family, folder)
    if family == "voxtral":
        return _voxtral(own, prompts)
    turns = []
    for prompt in prompts:
        system = [] if prompt.system is None else [{"role": "system", "content": prompt.system}]
        content = [*({"type": "audio"} for _ in prompt.audio), {"type": "text", "text": prompt.text}]
        turns.append([*system, {"role": "user", "content": content}])
    text = own.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    audio = [clip.samples[0] for prompt in prompts for clip in prompt.audio]
    how: dict[str, Any] = {"sampling_rate": 16_000, "return_tensors": "pt"}
    if family != "audioflamingo3":  # which pads on the left of itself, and would not fill its windows if told to pad
        how |= {"padding": True, "padding_side": "left"}
    return dict(own(text=text, audio=audio, **how))


def _voxtral(own: Any, prompts: Sequence[Prompt]) -> dict[str, Any]:
    rows, clips = [], []
    for prompt in prompts:
        row = [1, 3]
        for clip in prompt.audio:
            row += [25, *[24] * (375 * -(-clip.n // 480_000))]
            clips.append(clip.samples[0])
        rows.append([*row, *own.tokenizer(prompt.text)["input_ids"], 4])
    width = max(map(len, rows))
    ids = torch.tensor([[11] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    how = {"sampling_rate": 16_000, "padding": True, "truncation": False, "pad_to_multiple_of": 480_000}
    features = own._retrieve_input_features(clips, 3000, **how, return_tensors="pt")
    return {"input_ids": ids, "attention_mask": mask, "input_features": features}


def network(family: str, folder: Path) -> Any:
    return NETWORKS[family].from_pretrained(folder).eval()


def answers(family: str, folder: Path, prompts: Sequence[Prompt], n: int) -> list[list[int]]:
    """New tokens of each prompt, padding and all."""
    given = inputs(family, folder, prompts)
    with torch.no_grad():
        ids = network(family, folder).generate(**given, max_new_tokens=n, do_sample=False)
    return ids[:, given["input_ids"].shape[1] :].tolist()
