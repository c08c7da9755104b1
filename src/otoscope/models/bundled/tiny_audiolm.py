"""``tiny-audiolm``: Audio Flamingo 3's kind of audio language model at a small size, trained here, or a random twin.

It hears spoken digits, sounds and phrases of music, at 16 kHz in windows of 5 s (62 audio tokens each), and answers the
questions of AudioMarathon's tasks, and a few plain ones, with the words of the right option. The checkpoint comes with
the package as a folder that ``transformers`` reads (CC BY-SA 4.0, see ``weights/ATTRIBUTION.md``) and goes through the
same code as a published one; the recipe is ``tools/train_tiny_audiolm.py``. It is there so that every benchmark, pruner
and evictor can be tried in minutes; it says nothing about large models.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otoscope.core.errors import ModelError
from otoscope.core.nouns import Card

if TYPE_CHECKING:
    from otoscope.models.audiolms.hf import PretrainedAudioLM

WEIGHTS = Path(__file__).parent / "weights"
NAME = "tiny-audiolm"
FOLDER, FACTS = WEIGHTS / NAME, WEIGHTS / f"{NAME}.json"


def tiny_audiolm(
    init: str = "pretrained",
    seed: int | None = None,
    dtype: str = "float32",
    attention: str = "sdpa",
    *,
    device: str = "cpu",
) -> PretrainedAudioLM:
    """The package's checkpoint; ``init=random,seed=`` draws fresh weights for the same config and tokenizer. Raises
    :class:`UsageError` on values that make no sense and :class:`ModelError` where the package is incomplete."""
    from otoscope.models.audiolms.hf import PretrainedAudioLM
    from otoscope.models.encoders.checkpoint import Checkpoint

    asked = {"init": init, "dtype": dtype, "attention": attention} | ({} if seed is None else {"seed": seed})
    checkpoint = Checkpoint.from_params(NAME, str(FOLDER), asked)
    return PretrainedAudioLM(checkpoint, card=_card(checkpoint.random), device=device)


@cache
def about() -> dict[str, Any]:
    """Recipe, held-out figures and the sha256 of every recording that the weights were trained on. Raises
    :class:`ModelError` where the package is incomplete."""
    try:
        found: dict[str, Any] = json.loads(FACTS.read_text(encoding="utf-8"))
    except OSError as e:
        raise ModelError("the package lacks the file", where=str(FACTS), fix="Reinstall it.") from e
    return found


def _card(random: bool) -> Card:
    return Card(
        NAME,
        "audiolm",
        "Audio Flamingo 3's classes at 3.8 M parameters (trained here): 12.4 audio tokens a second, one clip",
        rate=16_000,
        channels=1,
        licence="CC BY-SA 4.0",
        source="architecture: arXiv 2507.08128; size, tokenizer and training: ours",
        notes=("random weights: has learned nothing",) if random else _notes(),
        layers=(),
        extra={"model_type": "audioflamingo3"},
        trained_on=frozenset(() if random else about()["trained_on_sha256"]),
    )


def _notes() -> tuple[str, ...]:
    facts = about()
    return (
        "answers a question with lettered options in the words of one of them, never by its letter, and knows only the "
        "questions of its training, such as 'Listen to the recording. Which number is said? Answer with one word or "
        "name.'",
        f"trained on {len(facts['trained_on_sha256'])} clips and the package's generator: {_whole(facts)}; "
        "python tools/train_tiny_audiolm.py",
        *(
            f"left out {fold['left_out']} (speaker:fold), {_length(fold['recipe'])}: {_said(fold)}"
            for fold in facts["folds"]
        ),
        f"these weights on the package's held-out voices and sounds: {_said(facts['generated'])}",
        "the recorded voices that it was trained on are all men; those of women are synthetic",
    )


def _whole(facts: dict[str, Any]) -> str:
    """All stages; from the second on there are more noises under the sounds, and none. The weights may be a mean of the
    last stage's and an earlier one's."""
    first, *later = (_length(recipe) for recipe in [*facts["begun_from"], facts["recipe"]])
    told = ", then ".join([first, *(f"{stage}, with more noises and none" for stage in later)])
    blend = facts.get("blend")
    if blend is None:
        return told
    share, stage = blend["share"], blend["stage"]
    return f"{told}; the mean of the weights after the last stage ({share:g}) and after stage {stage} ({1 - share:g})"


def _length(recipe: dict[str, Any]) -> str:
    told = f"{recipe['steps']} steps of {recipe['windows']} windows of 5 s"
    share = recipe.get("long")  # runs before it was there had none
    return f"{told} ({share:.0%} of the batches from the long-audio builder)" if share else told


def _said(found: dict[str, Any]) -> str:
    held = found["held_out"]
    return ", ".join(
        f"{name} {figure['accuracy']:.2f} (chance {figure['chance']:.2f})"
        if "accuracy" in figure
        else f"{name} WER {figure['wer']:.2f}"
        for name, figure in held.items()
    )
