"""Cards of the published separators. Nothing is imported for them."""

from __future__ import annotations

from otoscope.core.nouns import Card

_SIZES = {
    "small": "12 layers of 1024",
    "base": "16 layers of 1536",
    "large": "22 layers of 2816",
}
_NOTES = (
    "the watermark's message is fixed (message=0); the published code draws another one at every decoding",
    "no weights were run while this was written: the implementation follows the published description and names",
    "text prompts need text_path=, a folder with t5-base; spans and no prompt need nothing else",
    "video prompts, the span predictor and the published rankers are not implemented; where no video is given the "
    "network sees zeros, as published",
    "sizes are those of config.json, whatever the name says",
)


def _card(size: str, variant: str) -> Card:
    name = f"sam-audio-{size}{variant}"
    tuned = ", tuned for video and for the right target" if variant else ""
    return Card(
        name=name,
        capability="separator",
        summary=f"SAM Audio {size}: flow matching, prompted in words or spans; {_SIZES[size]}{tuned} (bring weights)",
        rate=48_000,
        channels=1,
        licence="SAM License (no open licence; gated: users accept it and bring the weights)",
        hub_id=f"facebook/{name}",
        source="arXiv 2512.18099",
        notes=_NOTES,
        layers=(),
    )


SAM_AUDIO = {card.name: card for card in (_card(size, variant) for variant in ("", "-tv") for size in _SIZES)}
