"""The package's own sounds: events, single notes and phrases, made from a seed. Ours.

``generate("event", "dog_bark", seed=7, rate=16000, duration_s=2.0)`` is the same sound on every call and, but for its
bandwidth, at every rate. ``parameters`` gives what was drawn (pitch, tempo, scale, ...), ``score`` the notes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from otoscope.core.errors import UsageError
from otoscope.core.registry import suggestions

if TYPE_CHECKING:
    from otoscope.audio.generator.music import Note
    from otoscope.audio.generator.recipe import Recipe
    from otoscope.core.audio import Audio

#: Raised whenever the same seed gives another sound; belongs into the identity of anything generated.
VERSION = 1
KINDS = ("event", "note", "phrase")
#: Default RMS of every sound, in dB below an RMS of 1.
LEVEL_DBFS = -25.0


def catalogue() -> dict[str, tuple[str, ...]]:
    """Sorted labels of every kind."""
    return {kind: tuple(sorted(_recipes(kind))) for kind in KINDS}


def parameters(kind: str, label: str, seed: int, **fixed: Any) -> dict[str, Any]:
    """What phase one draws for this sound: plain numbers and words. ``fixed`` sets some of them.

    Raises :class:`UsageError` on an unknown kind, label or parameter and on a value outside its range.
    """
    return _recipe(kind, label).draw(seed, fixed)


def generate(
    kind: str, label: str, seed: int, rate: int, duration_s: float, *, level_dbfs: float = LEVEL_DBFS, **fixed: Any
) -> Audio:
    """One sound, mono ``[1, n]`` with ``n = round(duration_s * rate)``, RMS ``level_dbfs``, peak below full scale.

    ``rate`` is 8000 to 48000 Hz, ``duration_s`` 0.1 s or more, ``level_dbfs`` at most -23. Raises :class:`UsageError`.
    """
    import math

    import numpy as np

    from otoscope.audio.generator import dsp
    from otoscope.audio.generator.finish import CREST_DB, finish
    from otoscope.audio.generator.recipe import RENDER
    from otoscope.audio.signals import samples
    from otoscope.core.audio import Audio

    recipe = _recipe(kind, label)
    drawn = recipe.draw(seed, fixed)
    if isinstance(rate, bool) or not isinstance(rate, int | np.integer) or not 8000 <= rate <= dsp.RATE:
        raise UsageError(f"the generator works from 8000 to {dsp.RATE} Hz, got {rate!r}")
    if not duration_s >= 0.1:
        raise UsageError(f"a generated sound lasts 0.1 s or more, got {duration_s}")
    if not level_dbfs <= -CREST_DB - 1:
        raise UsageError(f"a level of {level_dbfs} dBFS could clip", fix=f"Use {-CREST_DB - 1} or less.")
    n = samples(duration_s, rate)
    x = recipe.render(drawn, math.ceil(n * dsp.RATE / rate), recipe.generator(seed, RENDER))
    x = finish(x, recipe.generator(seed, "background"), n, int(rate), level_dbfs)
    return Audio(x[None].astype(np.float32), int(rate))


def score(label: str, seed: int, duration_s: float, **fixed: Any) -> tuple[Note, ...]:
    """The notes of ``generate("phrase", label, seed, ..., duration_s, **fixed)``."""
    from otoscope.audio.generator import music

    recipe = _recipe("phrase", label)
    return music.score(recipe, recipe.draw(seed, fixed), seed, duration_s)


def _recipes(kind: str) -> Mapping[str, Recipe]:
    if kind == "event":
        from otoscope.audio.generator.events import EVENTS

        return EVENTS
    from otoscope.audio.generator import music

    if kind == "note":
        return music.NOTES
    if kind == "phrase":
        return music.PHRASES
    raise UsageError(f"there is no kind of sound {kind!r}", fix=f"Use {', '.join(KINDS)}.")


def _recipe(kind: str, label: str) -> Recipe:
    recipes = _recipes(kind)
    if label not in recipes:
        near = suggestions(label, sorted(recipes)) or sorted(recipes)
        raise UsageError(f"there is no {kind} {label!r}", fix=f"Choose {', '.join(near)}.")
    return recipes[label]
