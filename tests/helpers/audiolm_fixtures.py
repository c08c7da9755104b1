"""Fixtures of small audio language models, for any folder of tests: import them by name in its ``conftest.py``.

Each checkpoint is written once per session and loaded as a user's folder would be.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otoscope.core.audio import Audio
from otoscope.core.nouns import Prompt
from otoscope.models.audiolms.hf import PretrainedAudioLM
from otoscope.models.resolve import load

FAMILIES = ("qwen2_audio", "qwen2_5_omni", "voxtral", "audioflamingo3", "phi4_multimodal")

__all__ = ["FAMILIES", "build", "clip", "family", "inputs_of", "model", "written"]


@pytest.fixture(scope="session")
def build() -> Any:
    """The module ``small_audiolms``."""
    import small_audiolms
    import torch
    from transformers.utils import logging

    torch.set_num_threads(1)  # the networks are tiny; threads only get in each other's way
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    assert tuple(small_audiolms.FAMILIES) == FAMILIES
    return small_audiolms


@pytest.fixture(scope="session")
def written(build: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``written("voxtral")``: the folder of its small checkpoint. Not to be changed: copy it."""
    return functools.cache(lambda family: build.FAMILIES[family](tmp_path_factory.mktemp(family)))


@pytest.fixture(scope="session")
def model(written: Callable[[str], Path]) -> Callable[[str], PretrainedAudioLM]:
    """``model("voxtral")``: the same, loaded by its folder's name."""
    return functools.cache(lambda family: load(str(written(family))))


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="session")
def clip() -> Callable[..., Audio]:
    """``clip(seed, seconds)``: noise at 16 kHz whose level rises and falls."""

    def make(seed: int = 0, seconds: float = 1.0, rate: int = 16_000, channels: int = 1) -> Audio:
        n = round(seconds * rate)
        x = np.random.default_rng(seed).standard_normal((channels, n))
        slow = 1.0 + 0.8 * np.sin(2 * np.pi * (seed + 1) * np.arange(n) / rate)
        return Audio((0.1 * slow * x).astype(np.float32), rate)

    return make


#: Batches that were laid out before: an extractor of 300 s is the slowest part of a small model.
_LAID: dict[Any, Any] = {}


def inputs_of(lm: PretrainedAudioLM, prompts: Sequence[Prompt]) -> dict[str, Any]:
    """``lm.prepare(prompts).inputs``, made once."""
    key = (lm.card.name, *((p.text, *(c.digest() for c in p.audio)) for p in prompts))
    if key not in _LAID:
        _LAID[key] = lm.prepare(prompts).inputs
    return dict(_LAID[key])
