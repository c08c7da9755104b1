"""The families of questions, by name."""

from __future__ import annotations

from otoscope.tasks.longaudio.families.core import Core, Family, Question
from otoscope.tasks.longaudio.families.events import EVENTS
from otoscope.tasks.longaudio.families.hops import HOPS
from otoscope.tasks.longaudio.families.music import MUSIC
from otoscope.tasks.longaudio.families.speech import SPEECH

__all__ = ["FAMILIES", "Core", "Family", "Question"]

FAMILIES: dict[str, Family] = {f.key: f for f in (*EVENTS, *HOPS, *SPEECH, *MUSIC)}
