"""Made items as files in the published layout: the same folders, names, fields and forms of gold."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from otoscope.audio import io
from otoscope.audio.binaural import child
from otoscope.audio.resample import resample
from otoscope.core.audio import Audio
from otoscope.tasks.audiomarathon.layout import LETTERS
from otoscope.tasks.audiomarathon.miniature import sounds, voices
from otoscope.tasks.audiomarathon.miniature.made import Made
from otoscope.tasks.audiomarathon.miniature.pool import RATE, Pool

#: Raised whenever the same seed gives other files.
VERSION = 1

Maker = Callable[[np.random.Generator, Pool, float], Made]
MAKERS: dict[str, Maker] = {
    "asr": voices.asr, "scr": voices.scr, "ser": voices.ser, "sed": sounds.sed, "mc": sounds.mc, "asc": sounds.asc,
    "sd": voices.sd, "er": voices.er, "sar": voices.sar, "sgr": voices.sgr,
}  # fmt: skip
#: Seconds of the published items.
SECONDS = {
    "asr": (60, 240), "scr": (120, 253), "ser": (165, 300), "sed": (270, 300), "mc": (240, 240), "asc": (90, 210),
    "sd": (180, 300), "er": (90, 120), "sar": (90, 210), "sgr": (90, 210),
}  # fmt: skip
#: No item is shorter (s).
SHORTEST = 4.0


def write(root: Path, pool: Pool, *, n: int, scale: float, seed: int) -> None:
    """``n`` items of every task under ``root``, ``scale`` times as long as the published ones."""
    for task, store in _STORES.items():
        made = []
        for k in range(n):
            rng = child(seed, "miniature", task, k)
            low, high = SECONDS[task]
            made.append(MAKERS[task](rng, pool, max(SHORTEST, scale * float(rng.uniform(low, high)))))
        store(root, made)


def _save(path: Path, made: Made, rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    audio = Audio(made.sound[None], RATE)
    io.write(path, audio if rate == RATE else resample(audio, rate), "PCM_16")


def _json(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")


def _choices(made: Made) -> dict[str, str]:
    return {f"choice_{LETTERS[i].lower()}": option for i, option in enumerate(made.options)}


def _asr(root: Path, items: Sequence[Made]) -> None:
    for k, made in enumerate(items):
        speaker = 1000 + sorted({m.group for m in items}).index(made.group)
        folder = root / "librispeech-long/test-clean" / str(speaker) / "1"
        stem = f"{speaker}-1-{k:04d}"
        _save(folder / f"{stem}.flac", made)
        (folder / f"{stem}.txt").write_text(made.transcript.upper() + "\n", encoding="utf-8")


def _scr(root: Path, items: Sequence[Made]) -> None:
    rows = []
    for k, made in enumerate(items):
        path = f"test/{('high', 'middle')[k % 2]}/{k}.wav"
        _save(root / "race_audio" / path, made)
        rows.append(
            {
                "audio_path": path,
                "article_id": k,
                "question_idx": 0,
                "question": made.question,
                "options": list(made.options),
                "answer": LETTERS[made.gold],
            }
        )
    _json(root / "race_audio/race_benchmark.json", rows)


def _flat(
    folder: str, name: str, wav: str, task: str, source: str, by_text: bool = False, rate: int = RATE
) -> Callable[[Path, Sequence[Made]], None]:
    """The form that most tasks have: a list of entries with ``choice_x``; ``wav`` is where the sounds lie."""

    def store(root: Path, items: Sequence[Made]) -> None:
        rows = []
        for k, made in enumerate(items):
            person = str(made.extra.get("speaker_id_original", "")) or None
            path = f"{person}/{person}_{task}_{k}.wav" if person else f"{task}_{k:04d}.wav"
            _save(root / folder / wav / path, made, rate)
            gold = made.options[made.gold] if by_text else LETTERS[made.gold]
            rows.append(
                {
                    "path": path,
                    "task_name": task,
                    "dataset_name": source,
                    "question": made.question,
                    **_choices(made),
                    "answer_gt": gold,
                    **made.extra,
                    "uniq_id": k,
                }
            )
        _json(root / folder / name, rows)

    return store


def _ser(root: Path, items: Sequence[Made]) -> None:
    rows = []
    for k, made in enumerate(items):
        path = f"dev/mixed_concatenated_audio/concatenated_{k:04d}.wav"
        _save(root / "SLUE" / path, made)
        about = {"task_name": "named_entity_recognition", "dataset_name": "SLUE", "source_file": f"s{k}"}
        rows.append(
            {
                "path": path,
                "question": made.question,
                **_choices(made),
                "answer_gt": LETTERS[made.gold],
                **about,
                **made.extra,
                "uniq_id": k,
            }
        )
    _json(root / "SLUE/merged_audio_data.json", rows)


def _sed(root: Path, items: Sequence[Made]) -> None:
    folder = root / "DESED/DESED_dataset/concatenated_audio"
    rows = []
    for k, made in enumerate(items):
        _save(folder / f"desed_{k:04d}.wav", made)
        choices = {LETTERS[i]: option for i, option in enumerate(made.options)}
        rows.append(
            {
                "path": f"desed_{k:04d}.wav",
                "task_type": "detection",
                "question": made.question,
                "choices": choices,
                "answer_gt": LETTERS[made.gold],
                **made.extra,
                "uniq_id": k,
            }
        )
    _json(folder / "desed_sound_event_detection_task.json", {"tasks": rows})


def _sd(root: Path, items: Sequence[Made]) -> None:
    for k, made in enumerate(items):
        _save(root / "HAD/concatenated_audio" / made.label / f"HAD_{k:05d}.wav", made)
    for label in ("real", "fake"):
        (root / "HAD/concatenated_audio" / label).mkdir(parents=True, exist_ok=True)


def _er(root: Path, items: Sequence[Made]) -> None:
    rows = []
    for k, made in enumerate(items):
        person = 1 + sorted({m.group for m in items}).index(made.group)
        path = f"{person}/person_{person}_{made.label.title()}_sentences_{k:03d}.wav"
        _save(root / "VESUS" / path, made)
        about = {**made.extra, "person_id": f"person{person}"}
        rows.append(
            {
                "path": path,
                "question": made.question,
                **_choices(made),
                "answer_gt": LETTERS[made.gold],
                **about,
                "uniq_id": k,
            }
        )
    _json(root / "VESUS/audio_emotion_dataset.json", rows)


_GENDER, _AGE = "gender_id_task_meta.json", "age_classification_task_meta.json"
_STORES: dict[str, Callable[[Path, Sequence[Made]], None]] = {
    "asr": _asr,
    "scr": _scr,
    "ser": _ser,
    "sed": _sed,
    "mc": _flat(
        "GTZAN/concatenated_audio", "music_genre_classification_meta.json", "wav", "genre", "GTZAN", rate=22_050
    ),
    "asc": _flat("TAU/concatenated_resampled", "acoustic_scene_task_meta.json", "", "scene", "TAU"),
    "sd": _sd,
    "er": _er,
    "sar": _flat("VoxCeleb/concatenated_audio", _AGE, "wav", "age", "VoxCeleb", by_text=True),
    "sgr": _flat("VoxCeleb/concatenated_audio", _GENDER, "wav", "gender", "VoxCeleb", by_text=True),
}
