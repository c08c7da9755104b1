"""The registered models. Names only: what they stand for is imported when one is asked for."""

from __future__ import annotations

from otoscope.core.registry import Registry
from otoscope.models.encoders.hub_cards import CARDS

#: ``kind`` is ``hub`` (a published checkpoint), ``encoder`` (a class of ours) or ``observer``. A plug-in's entry point
#: gives an encoder class, a ``torch.nn.Module`` class, a function that makes either, or an observer class.
MODELS = Registry("model", "otoscope.models")

MODELS.add(
    "tiny-wav2vec2",
    "otoscope.models.encoders.tiny:tiny_wav2vec2",
    "wav2vec 2.0 architecture, 4 layers of 64, random weights; needs no file",
    kind="encoder",
)
MODELS.add(
    "tiny-stereo",
    "otoscope.models.encoders.tiny:tiny_stereo",
    "two-channel conv stem and transformer, random weights (ours); needs no file",
    kind="encoder",
)

for _card in CARDS:
    MODELS.add(_card.name, _card, _card.summary, kind="hub")
