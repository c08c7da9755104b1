"""Cards of published audio language models with a short name. Data only: nothing here imports a network. None of these
weights was run while this was written; the families were tried with small random ones."""

from __future__ import annotations

from typing import Any

from otoscope.core.nouns import Card
from otoscope.models.audiolms.phi4_multimodal import PADDING

_TRIED = "no weights of it were run while this was written: its family was tried with small random ones"


def _card(name: str, hub_id: str, model_type: str, summary: str, source: str, licence: str, **more: Any) -> Card:
    notes = (*more.pop("notes", ()), _TRIED)
    return Card(
        name=name,
        capability="audiolm",
        summary=summary,
        rate=16_000,
        channels=1,
        licence=licence,
        hub_id=hub_id,
        source=source,
        notes=notes,
        layers=(),
        extra={"model_type": model_type},
        **more,
    )


_OMNI = (
    "the thinker alone: text out, no speech",
    "clips longer than its extractor's 300 s are heard whole, up to the decoder's context",
)
_THIRTY = "clips are filled up with silence to multiples of 30 s; the silence is tokens too (375 per 30 s)"

AUDIO_LMS = (
    _card(
        "qwen2.5-omni-3b",
        "Qwen/Qwen2.5-Omni-3B",
        "qwen2_5_omni",
        "Qwen2.5-Omni 3B, thinker: 25 audio tokens a second",
        "arXiv 2503.20215",
        "Qwen Research Licence (non-commercial)",
        notes=_OMNI,
    ),
    _card(
        "qwen2.5-omni-7b",
        "Qwen/Qwen2.5-Omni-7B",
        "qwen2_5_omni",
        "Qwen2.5-Omni 7B, thinker: 25 audio tokens a second",
        "arXiv 2503.20215",
        "Apache-2.0",
        notes=_OMNI,
    ),
    _card(
        "qwen2-audio-7b",
        "Qwen/Qwen2-Audio-7B-Instruct",
        "qwen2_audio",
        "Qwen2-Audio 7B Instruct: 25 audio tokens a second, clips of at most 30 s",
        "arXiv 2407.10759",
        "Apache-2.0",
        notes=("a clip lasts at most 30 s (one window of its extractor); longer ones are refused",),
    ),
    _card(
        "voxtral-mini-3b",
        "mistralai/Voxtral-Mini-3B-2507",
        "voxtral",
        "Voxtral Mini 3B: 12.5 audio tokens a second, in windows of 30 s",
        "arXiv 2507.13264",
        "Apache-2.0",
        notes=(_THIRTY,),
    ),
    _card(
        "audio-flamingo-3",
        "nvidia/audio-flamingo-3-hf",
        "audioflamingo3",
        "Audio Flamingo 3: 25 audio tokens a second, one clip of at most 600 s",
        "arXiv 2507.08128",
        "NVIDIA OneWay Noncommercial License",
        notes=("one clip per prompt, at most 600 s; longer ones are refused",),
    ),
    _card(
        "phi-4-multimodal",
        "microsoft/Phi-4-multimodal-instruct",
        "phi4_multimodal",
        "Phi-4-Multimodal: 12.5 audio tokens a second, no limit of its own",
        "arXiv 2503.01743",
        "MIT",
        notes=("its main revision is code of its own (phi4mm); wanted is the one converted for transformers",),
        breaks=(PADDING,),
    ),
)
CARDS_BY_HUB_ID = {card.hub_id: card for card in AUDIO_LMS}
