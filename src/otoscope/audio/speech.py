"""Speech that ships with the package: synthetic voices with known words, read from files, no engine needed.

Every clip's ``labels`` hold ``kind`` (``digit`` or ``sentence``), ``transcript``, ``speaker``, ``sex``, ``accent`` and
what the voice was made with; digits add ``digit`` (0 to 9), sentences ``text_id``, ``topic``, ``question``, ``answer``.
``group`` is the speaker. See ``bundled_speech/README.md`` for how it was made and its licence.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from otoscope.audio import io
from otoscope.audio.corpus import Clip, read_manifest
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError
from otoscope.core.identity import file_digest

_FOLDER = Path(__file__).parent / "bundled_speech"


#: Speakers that nothing of the package is trained on.
HELD_VOICES = ("f06", "f07", "m06", "m07")


@cache
def bundled_speech() -> tuple[Clip, ...]:
    """All clips, sorted by speaker, digits first."""
    return read_manifest(_FOLDER)


@cache
def speech_panel() -> tuple[Clip, ...]:
    """Sentences by thirty-two further voices that nothing of the package is trained on. Each has one partner of the
    other sex, under the same number (``pf05``, ``pm05``): sixteen pairs that share no voice."""
    return read_manifest(_FOLDER / "panel")


def load_speech(clip: Clip, *, rate: int | None = None) -> Audio:
    """The clip, mono ``[1, n]``, at 16 kHz or at ``rate``.

    Raises :class:`InputError` where the file is missing or is not the one that the manifest describes.
    """
    if clip.path.is_file() and file_digest(clip.path) != clip.sha256:
        raise InputError("is not the file that was described", where=str(clip.path), fix="Reinstall the package.")
    return io.read(clip.path, rate=rate, channels=1)
