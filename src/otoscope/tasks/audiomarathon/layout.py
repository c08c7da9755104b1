"""The published data set as it lies on disk, read into entries: metadata of ten forms, one form afterwards.

What a file says is taken as it is found and checked where it is used: an entry that lacks a field or whose sound is
missing keeps its place with the ``problem``, so that it becomes a failed item and never silently a smaller benchmark.
After the fact sheet of arXiv 2510.07293, section 2.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from otoscope.core.errors import InputError
from otoscope.core.items import Factor
from otoscope.tasks.audiomarathon.kinds import KINDS, Kind

LETTERS = "ABCDE"
#: Metadata files by task, those tried first first; folders where their paths begin.
_METADATA = {
    "scr": ("race_audio/race_benchmark.json",),
    "ser": ("SLUE/merged_audio_data.json",),
    "sed": ("DESED/DESED_dataset/concatenated_audio/desed_sound_event_detection_task.json",),
    "mc": ("GTZAN/concatenated_audio/music_genre_classification_meta.json",),
    "asc": ("TAU/concatenated_resampled/acoustic_scene_task_meta.json",),
    "er": ("VESUS/audio_emotion_dataset.json", "VESUS/audio_emotion_dataset_filtered.json"),
    "sar": ("VoxCeleb/concatenated_audio/age_classification_task_meta.json",),
    "sgr": ("VoxCeleb/concatenated_audio/gender_id_task_meta.json",),
}
_BASES = {
    "scr": ("race_audio",),
    "ser": ("SLUE",),
    "sed": ("DESED/DESED_dataset/concatenated_audio",),
    "mc": ("GTZAN/concatenated_audio/wav", "GTZAN/concatenated_audio"),
    "asc": ("TAU/concatenated_resampled", "TAU/concatenated_resampled/wav"),
    "er": ("VESUS", "VESUS/wav"),
    "sar": ("VoxCeleb/concatenated_audio/wav", "VoxCeleb/concatenated_audio"),
    "sgr": ("VoxCeleb/concatenated_audio/wav", "VoxCeleb/concatenated_audio"),
}
_SPEECH, _HAD = "librispeech-long/test-clean", "HAD/concatenated_audio"
#: Fields that say which recording, speaker or source an entry is of.
_GROUPS = ("speaker_id_original", "person_id", "article_id", "source_file")
_LABELS = ("genre_label", "scene_label", "emotion_label", "correct_event", "primary_event")
#: What is known to be missing from the published files (issue 3 of the authors' repository, May 2026).
_HOLES = (
    (re.compile(r"^VESUS/.*person_?2_Fearful|^VESUS/.*person_?3_Angry|^VESUS/.*person_?6_(Angry|Fearful)", re.I),
     "removed by the authors on purpose, as too hard for humans"),
)  # fmt: skip
_COUNTED_HOLES = {"ser": 1, "sar": 2, "sgr": 2}


@dataclass(frozen=True)
class Entry:
    """One question about one file. ``options`` in their published order; ``gold`` is the index of the right one (None
    for transcripts, whose words are ``transcript``). ``label`` is the class where the task has classes. ``problem``:
    why it cannot be asked."""

    task: str
    id: str
    name: str  # of the sound file, relative to the root, with /
    path: Path
    question: str = ""
    options: tuple[str, ...] = ()
    gold: int | None = None
    transcript: str | None = None
    label: str = ""
    group: str = ""
    factors: Mapping[str, Factor] = field(default_factory=dict, hash=False)
    problem: str | None = None


def read_entries(root: Path, task: str) -> tuple[Entry, ...]:
    """All entries of a task, sorted by their ids. Raises :class:`InputError` where the folder is no copy of the data
    set, or its metadata cannot be read at all."""
    if not root.is_dir():
        raise InputError("no such folder", where=str(root), fix="Name the folder of a copy of AudioMarathon.")
    kind = KINDS[task]
    if task == "asr":
        found = list(_transcribed(root))
    elif task == "sd":
        found = list(_spliced(root))
    else:
        found = list(_listed(root, kind))
    if not found:
        raise InputError(f"holds nothing for the task {task}", where=str(root))
    return tuple(_unique(sorted(found, key=lambda e: e.id)))


# --- metadata files ---------------------------------------------------------------------------------------------


def _listed(root: Path, kind: Kind) -> Iterator[Entry]:
    file = next((root / name for name in _METADATA[kind.key] if (root / name).is_file()), None)
    if file is None:
        names = " or ".join(_METADATA[kind.key])
        raise InputError(f"has no {names}", where=str(root), fix="Name the folder that holds the data set's files.")
    for number, row in enumerate(_rows(file)):
        yield _entry(root, kind, file, number, row)


def _rows(file: Path) -> list[Any]:
    """A list, or an object that holds one under ``tasks``, ``samples`` or ``data``."""
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise InputError(f"cannot be read: {e}", where=str(file)) from e
    if isinstance(data, Mapping):
        data = next((data[k] for k in ("tasks", "samples", "data") if isinstance(data.get(k), list)), None)
    if not isinstance(data, list):
        raise InputError("holds no list of entries", where=str(file))
    return data


def _entry(root: Path, kind: Kind, file: Path, number: int, row: Any) -> Entry:
    where = f"{file.relative_to(root).as_posix()}, entry {number}"
    key = f"{kind.key}-{number:05d}"
    if not isinstance(row, Mapping):
        return Entry(kind.key, key, "", root, problem=f"{where} is a {type(row).__name__}, not an object")
    told = row.get("audio_path") if kind.key == "scr" else row.get("path")
    uniq = row.get("uniq_id")
    entry_id = f"{kind.key}-{uniq}" if isinstance(uniq, str | int) else key
    if not isinstance(told, str) or not told:
        field_name = "audio_path" if kind.key == "scr" else "path"
        return Entry(kind.key, entry_id, "", root, problem=f"{where} lacks {field_name}")
    name, path = _sound(root, kind.key, told)
    entry = Entry(kind.key, entry_id, name, path, group=_group(kind, row, name), factors=_factors(kind, row, told))
    try:
        question, options = _text(row, "question"), _options(row)
        gold = _gold(row, options, "answer" if kind.key == "scr" else "answer_gt")
    except ValueError as e:
        return _with(entry, problem=f"{where} {e}")
    label = next((str(row[k]) for k in _LABELS if isinstance(row.get(k), str)), "")
    problem = None if path.is_file() else _missing(kind.key, name)
    return _with(entry, question=question, options=options, gold=gold, label=label, problem=problem)


def _with(entry: Entry, **changes: Any) -> Entry:
    from dataclasses import replace

    return replace(entry, **changes)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"lacks {name}")
    return value.strip()


def _options(row: Mapping[str, Any]) -> tuple[str, ...]:
    """``options`` or ``choices`` as list or object, or ``choice_a``, ``choice_b``, ..."""
    found = row.get("options", row.get("choices"))
    if isinstance(found, Mapping):
        found = [found[k] for k in sorted(found, key=str.upper)]
    if found is None:
        lettered = [row.get(f"choice_{letter.lower()}") for letter in LETTERS]
        found = [o for o in lettered if o is not None]
    if not isinstance(found, list) or not 2 <= len(found) <= len(LETTERS):
        raise ValueError(f"has no 2 to {len(LETTERS)} options")
    return tuple(_bare(str(o), i) for i, o in enumerate(found))


def _bare(option: str, i: int) -> str:
    """An option without a letter of its own in front."""
    return re.sub(rf"^\s*[\(\[]?{LETTERS[i]}[\)\].:]\s+", "", option, flags=re.I).strip()


def _gold(row: Mapping[str, Any], options: tuple[str, ...], name: str) -> int:
    """The right option from a letter or from its text."""
    value = _text(row, name)
    by_text = [i for i, o in enumerate(options) if o.casefold() == value.casefold()]
    if len(by_text) == 1:
        return by_text[0]
    letter = value.rstrip(".):").strip().upper()
    if len(letter) == 1 and letter in LETTERS[: len(options)]:
        return LETTERS.index(letter)
    raise ValueError(f"has {name}={value!r}, which is none of its options")


def _group(kind: Kind, row: Mapping[str, Any], name: str) -> str:
    told = next((str(row[k]) for k in _GROUPS if row.get(k) not in (None, "")), None)
    return f"{kind.source}:{told if told is not None else name}"


def _factors(kind: Kind, row: Mapping[str, Any], name: str) -> dict[str, Factor]:
    if kind.key == "scr":
        parts = name.split("/")
        return {"difficulty": next((p for p in ("high", "middle") if p in parts), "unknown")}
    if kind.key == "er" and row.get("person_id") is not None:
        return {"person": re.sub(r"\D", "", str(row["person_id"])) or str(row["person_id"])}
    return {}


# --- sound files ------------------------------------------------------------------------------------------------


def _sound(root: Path, task: str, told: str) -> tuple[str, Path]:
    """Where a sound lies, in whichever of the published layouts; the first one where it lies in none."""
    clean = told.replace("\\", "/").lstrip("/")
    if ".." in clean.split("/"):
        return clean, root / "\0"
    for base in _BASES[task]:
        if (root / base / clean).is_file():
            return f"{base}/{clean}", root / base / clean
    return f"{_BASES[task][0]}/{clean}", root / _BASES[task][0] / clean


def _missing(task: str, name: str) -> str:
    for pattern, why in _HOLES:
        if pattern.search(name):
            return f"{name} is missing (a known hole: {why})"
    count = _COUNTED_HOLES.get(task)
    return f"{name} is missing" + (f" ({count} of this task's files are known to be)" if count else "")


def _transcribed(root: Path) -> Iterator[Entry]:
    folder = root / _SPEECH
    for path in sorted(folder.rglob("*.flac")) if folder.is_dir() else ():
        name = path.relative_to(root).as_posix()
        speaker = path.relative_to(folder).parts[0]
        text = _transcript(path)
        yield Entry(
            "asr",
            f"asr-{path.stem}",
            name,
            path,
            transcript=text,
            group=f"LibriSpeech:{speaker}",
            problem=None if text else f"{name} has no transcript beside it",
        )


def _transcript(path: Path) -> str | None:
    own = path.with_suffix(".txt")
    if own.is_file():
        return own.read_text(encoding="utf-8").strip() or None
    shared = path.parent / f"{path.parent.parent.name}-{path.parent.name}.trans.txt"
    if shared.is_file():
        for line in shared.read_text(encoding="utf-8").splitlines():
            stem, _, text = line.partition(" ")
            if stem == path.stem and text.strip():
                return text.strip()
    return None


def _spliced(root: Path) -> Iterator[Entry]:
    for gold, label in enumerate(("real", "fake")):
        folder = root / _HAD / label
        for path in sorted(folder.glob("*.wav")) if folder.is_dir() else ():
            name = path.relative_to(root).as_posix()
            yield Entry(
                "sd",
                f"sd-{label}-{path.stem}",
                name,
                path,
                question="Is this speech real throughout, or is a part of it fake?",
                options=("Real", "Fake"),
                gold=gold,
                label=label,
                group=f"HAD:{name}",
            )


def _unique(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Ids made unique: the published ones are not always."""
    seen: dict[str, int] = {}
    for entry in entries:
        n = seen[entry.id] = seen.get(entry.id, -1) + 1
        yield entry if n == 0 else _with(entry, id=f"{entry.id}~{n}")
