"""Cards of Spatial-AST and DSpAST. Data only: nothing here imports a network."""

from __future__ import annotations

from otoscope.core.nouns import Card

RATE, DURATION_S = 32_000, 10.0

_TRAPS = (
    "hears 10 s: shorter sounds are repeated to 10 s and the repeats' frames cut (short=tile), refused (short=refuse), "
    "or stretched in time as the published code does (stretch=true, 2 s fivefold); the paper's BMLD needs 10 s",
    "even 10 s are stretched: 1001 spectra become 1024",
    "no room is applied (the published code's unit impulse); it was trained on sources at -14 dBFS: level_dbfs=-14 "
    "imitates at the ears",
    "material upsampled from 16 kHz leaves bins whose phase is rounding noise: synthesise at 32 kHz",
    "frames are patches averaged over frequency; tokens=all: 3 class tokens and 512 patches; tokens=class: the three",
    "its map of tensors was checked against the public code with random weights, never against the published file",
)
_BREAKS = ("padding invariance: every frame attends to the whole 10 s, repeats of a short sound included",)
_LICENCE = "CC BY-NC 4.0 (non-commercial)"

CARDS: dict[str, Card] = {
    card.name: card
    for card in (
        Card(
            name="spatial-ast",
            capability="encoder",
            summary="Spatial-AST: log-mel and interaural phase, ViT-B with class tokens for distance, direction, event",
            rate=RATE,
            channels=2,
            cues=frozenset({"magnitude", "ipd"}),
            licence=f"{_LICENCE} by its LICENSE file; its README says CC BY 4.0",
            hub_id="zhisheng01/SpatialAudio",
            source="Zheng et al. 2024, arXiv 2402.01591",
            notes=_TRAPS,
            breaks=_BREAKS,
            fixed_duration_s=DURATION_S,
            layers=(*range(13), "last"),
        ),
        Card(
            name="dspast",
            capability="encoder",
            summary="DSpAST: Spatial-AST with cross-correlation and level difference, three branches over one ViT",
            rate=RATE,
            channels=2,
            cues=frozenset({"magnitude", "ipd", "gcc"}),
            licence=_LICENCE,
            hub_id="kwilk90/DSpAST",
            source="Wilkinghoff and Tan 2025, arXiv 2509.13927",
            notes=(
                *_TRAPS,
                "stage=1 was trained without a spatial loss: a control of the same architecture; 3 is the default",
                "numbered layers are three branches side by side, last is after their maps; branch=distance, direction "
                "or event keeps one",
                "its level-difference plane is exp() of decibels: a few decibels between the ears dominate it",
            ),
            breaks=_BREAKS,
            fixed_duration_s=DURATION_S,
            layers=(*range(13), "last"),
        ),
    )
}
