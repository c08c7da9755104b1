"""``tiny-whisper-base`` and ``tiny-uniwhisper``: a small Whisper encoder trained on spoken digits alone, and the same
encoder continued by UniWhisper's recipe on speech, sounds and music.

Both come with the package as folders that ``transformers`` reads (CC BY-SA 4.0, see ``weights/ATTRIBUTION.md``) and go
through the same code as a published Whisper; the recipes are ``recipes/tiny-whisper.toml`` and
``recipes/tiny-uniwhisper.toml``, the tool ``tools/train_tiny_uniwhisper.py``. They are there so that the paper's
comparison can be run in minutes; they say nothing about large models.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otoscope.core.errors import ModelError
from otoscope.core.nouns import Card

if TYPE_CHECKING:
    from otoscope.models.encoders.hf import PretrainedEncoder

WEIGHTS = Path(__file__).parent / "weights"
BASE, RESULT = "tiny-whisper-base", "tiny-uniwhisper"
_SUMMARIES = {
    BASE: "Whisper's encoder, {size:.1f} M parameters, trained here on spoken digits alone",
    RESULT: "tiny-whisper-base continued by UniWhisper's recipe on speech, sounds and music",
}


def tiny_whisper_base(
    init: str = "pretrained", seed: int | None = None, dtype: str = "float32", *, device: str = "cpu"
) -> PretrainedEncoder:
    """The encoder before; ``init=random,seed=`` draws fresh weights for the same config. Raises :class:`UsageError`
    on values that make no sense and :class:`ModelError` where the package is incomplete."""
    return _encoder(BASE, init, seed, dtype, device)


def tiny_uniwhisper(
    init: str = "pretrained", seed: int | None = None, dtype: str = "float32", *, device: str = "cpu"
) -> PretrainedEncoder:
    """The encoder after. Parameters and errors as of :func:`tiny_whisper_base`."""
    return _encoder(RESULT, init, seed, dtype, device)


@cache
def about(name: str) -> dict[str, Any]:
    """Recipe, steps, losses and the sha256 of every recording that the weights were trained on. Raises
    :class:`ModelError` where the package is incomplete."""
    file = WEIGHTS / f"{name}.json"
    try:
        found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except OSError as e:
        raise ModelError("the package lacks the file", where=str(file), fix="Reinstall it.") from e
    return found


def _encoder(name: str, init: str, seed: int | None, dtype: str, device: str) -> PretrainedEncoder:
    from otoscope.models.encoders.checkpoint import Checkpoint
    from otoscope.models.encoders.hf import PretrainedEncoder

    asked = {"init": init, "dtype": dtype} | ({} if seed is None else {"seed": seed})
    checkpoint = Checkpoint.from_params(name, str(WEIGHTS / name), asked)
    return PretrainedEncoder(checkpoint, card=_card(name, checkpoint.random), device=device)


def _card(name: str, random: bool) -> Card:
    facts = about(name)
    return Card(
        name,
        "encoder",
        _SUMMARIES[name].format(size=facts["parameters"] / 1e6),
        rate=16_000,
        channels=1,
        licence="CC BY-SA 4.0",
        source="architecture: arXiv 2212.04356; recipe after arXiv 2602.21772; size, data and training: ours",
        notes=("random weights: has learned nothing",) if random else _notes(facts),
        extra={"model_type": "whisper"},
        trained_on=frozenset(() if random else facts["trained_on_sha256"]),
    )


def _notes(facts: dict[str, Any]) -> tuple[str, ...]:
    held = ", ".join(f"{task} {loss:.2f}" for task, loss in sorted(facts["held_out"].items()))
    return (
        *((f"loss by answer token on held-out recordings, instruments and seeds: {held}",) if held else ()),
        f"trained on {len(facts['trained_on_sha256'])} recordings{facts['and']}: {facts['steps']} steps; "
        "python tools/train_tiny_uniwhisper.py",
        "the recorded voices that it was trained on are all men",
    )
