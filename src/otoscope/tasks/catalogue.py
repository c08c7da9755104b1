"""The registered tasks and conditions, and how their names become objects."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

from otoscope.core.errors import UsageError
from otoscope.core.naming import Spec, parse_spec
from otoscope.core.nouns import Condition, Task
from otoscope.core.registry import Registry, suggestions
from otoscope.tasks.audiomarathon.kinds import KINDS
from otoscope.tasks.conditions import Chain
from otoscope.tasks.longaudio.families import FAMILIES
from otoscope.tasks.probes.catalog import xares_tasks

TASKS = Registry("task", "otoscope.tasks")
TASKS.add("bmld", "otoscope.tasks.bmld.distance:DistanceTask", "tone in noise: distance ratio per cell (Tier A)")
TASKS.add("bmld/threshold", "otoscope.tasks.bmld.threshold:ThresholdTask", "2AFC thresholds with a readout (Tier B)")
TASKS.add("bmld/speech", "otoscope.tasks.bmld.speech:SpeechTask", "speech through rooms: distance ratio per cell")
TASKS.add("separation", "otoscope.tasks.separation.task:SeparationTask", "one sound of a mixture, found by a prompt")

for _key, _kind in KINDS.items():
    TASKS.add(
        _kind.name,
        f"otoscope.tasks.audiomarathon.task:{_key.capitalize()}",
        f"AudioMarathon: {_kind.title} ({_kind.source})",
    )

for _key, _family in FAMILIES.items():
    TASKS.add(f"longaudio/{_key}", f"otoscope.tasks.longaudio.task:{_key.capitalize()}", f"long audio: {_family.title}")

for _name, _about in (
    ("closed", "questions with choices, read by rules"),
    ("instructions", "instructions to follow, checked by rules"),
    ("open", "open questions, graded by a judge of yours"),
):
    TASKS.add(f"mmau-pro/{_name}", f"otoscope.tasks.mmaupro.task:{_name.capitalize()}", f"MMAU-Pro: {_about}; data=DIR")

for _name, _about in (
    ("digits", "spoken digits, the package's voices (speech)"),
    ("voices", "sex of the speaker, the package's voices (speech)"),
    ("events", "sound events, generated (sound)"),
    ("scenes", "two sound events at once, generated (sound)"),
    ("notes", "instrument of a note, generated (music)"),
    ("phrases", "instrument of a phrase, generated (music)"),
):
    TASKS.add(f"probes/{_name}", f"otoscope.tasks.probes.own:{_name.capitalize()}", f"probe: {_about}")
TASKS.add("probes/hear", "otoscope.tasks.probes.hear:HearProbe", "probe: a task folder of HEAR: data=DIR")
TASKS.add("probes/folder", "otoscope.tasks.probes.folders:FolderProbe", "probe: your own recordings: data=DIR")
for _key, _task in xares_tasks().items():
    TASKS.add(f"xares/{_key}", f"otoscope.tasks.probes.xares:{_key}", f"probe: X-ARES {_task.title} ({_task.domain})")

CONDITIONS = Registry("condition", "otoscope.conditions")
CONDITIONS.add("intact", "otoscope.tasks.conditions:Intact", "the stimulus as it is (L0)")
for _name, _target, _summary in (
    ("audio-blind", "AudioBlind", "the question without the sound"),
    ("shuffled-audio", "ShuffledAudio", "the question with the sound of another item"),
    ("crop", "Crop", "a short piece of the sound: seconds=10,start_s=0"),
    ("transcript-only", "TranscriptOnly", "the words that are spoken, to read instead of the sound"),
):
    CONDITIONS.add(_name, f"otoscope.tasks.controls:{_target}", _summary)


def _register_rungs() -> None:
    from otoscope.tasks.bmld.rungs import RUNGS

    for name, known in RUNGS.items():
        CONDITIONS.add(name, "otoscope.tasks.bmld.rungs:RungCondition", known.summary, kind="rung")


def resolve_task(spec: Spec | str, *, seed: int = 0) -> Task:
    """A task from its name; ``seed`` is given where the task takes one."""
    spec = parse_spec(spec) if isinstance(spec, str) else spec
    factory = TASKS.get(spec.name)
    params: dict[str, Any] = dict(spec.params)
    if "seed" in _parameters(factory):
        params.setdefault("seed", seed)
    task: Task = _build("task", spec, factory, params)
    return task


def resolve_condition(spec: Spec | str) -> Condition:
    """A condition from its name; ``a+b`` is a, then b."""
    spec = parse_spec(spec) if isinstance(spec, str) else spec
    parts = str(spec).split("+")
    if len(parts) > 1 and not spec.name.startswith("file:"):
        return Chain(tuple(resolve_condition(part) for part in parts))
    entry = CONDITIONS.entry(spec.name) if not spec.name.startswith("file:") else None
    factory = CONDITIONS.get(spec.name)
    if entry is not None and entry.kind == "rung":
        return factory(name=spec.name, params=tuple(spec.params.items()))
    return _build("condition", spec, factory, dict(spec.params))


def takes_data(spec: Spec) -> bool:
    """Whether the task reads a data folder (``--data``)."""
    return "data" in _parameters(TASKS.get(spec.name))


def _parameters(factory: Any) -> list[str]:
    if dataclasses.is_dataclass(factory):
        return [f.name for f in dataclasses.fields(factory) if f.init]
    return list(inspect.signature(factory).parameters)


def _build(noun: str, spec: Spec, factory: Any, params: dict[str, Any]) -> Any:
    known = _parameters(factory)
    for key in params:
        if key not in known:
            near = suggestions(key, known) or known
            raise UsageError(f"{noun} {spec.name!r} has no parameter {key!r}", fix=f"It has: {', '.join(near)}.")
    return factory(**params)


_register_rungs()
