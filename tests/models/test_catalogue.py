"""The registered models: names, cards, and nothing loaded for either."""

from __future__ import annotations

import subprocess
import sys

import pytest

from otoscope.models.catalogue import MODELS
from otoscope.models.encoders.hf_family import family_of
from otoscope.models.encoders.hub_cards import BY_HUB_ID, CARDS
from otoscope.models.resolve import card_for

OTHERS = ("observer", "separator", "audiolm")
NAMES = [n for n in MODELS if n != "embeddings"]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_has_a_card(name: str) -> None:
    card = card_for(name)
    assert card.name == name
    assert card.summary
    assert MODELS.entry(name).summary
    kind = MODELS.entry(name).kind
    assert card.capability in (("encoder", "audiolm") if kind == "hub" else (kind if kind in OTHERS else "encoder",))
    if card.capability == "encoder":
        assert card.layers[-1] == "last"
        assert card.rate


def test_published_checkpoints() -> None:
    assert len(BY_HUB_ID) == len(CARDS) + 1  # one that brings its own code and has no short name
    for card in CARDS:
        assert card.licence
        assert card.source
        assert family_of(card.extra["model_type"]).name != "a generic audio network"
        assert card.channels == (2 if card.name == "encodec-48khz" else 1)


def test_a_hub_id_of_the_catalogue_has_its_card() -> None:
    card = card_for("facebook/hubert-large-ll60k:init=random,seed=4")
    assert card.layers == (*range(25), "last")
    assert card.extra["seed"] == 4


CHEAP = """
import sys
import otoscope
from otoscope.models.catalogue import MODELS
from otoscope.models.resolve import card_for, resolve, random_twin
for name in ("hubert-large", "encodec-48khz:normalize=false", "logmel-ipd:pool=max", "ec-durlach", "whisper-tiny"):
    card_for(name)
card_for("sam-audio-large:steps=8")
resolve("logmel").identity()
heavy = [m for m in ("torch", "transformers", "huggingface_hub") if m in sys.modules]
sys.exit(f"imported {heavy}" if heavy else 0)
"""


def test_names_and_cards_import_neither_torch_nor_transformers() -> None:
    done = subprocess.run([sys.executable, "-c", CHEAP], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
