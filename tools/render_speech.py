"""Render the speech that ships in the package, or check that it can be rendered again.

    python tools/render_speech.py            write src/otoscope/audio/bundled_speech/
    python tools/render_speech.py --check    render, and compare every PCM digest with the manifest

Fourteen voices, half of them female, in eight accents. Each says the ten digits, two sentences common to all, and
eight more, each of which is also said by one voice of the other sex. The engine's output (int16, 22050 Hz) is freed of
its offset, resampled to 16 kHz, set to -25 dBFS RMS and stored as Ogg Vorbis. With ``--panel`` either does so for the
panel (``speech_panel.py``) in ``bundled_speech/panel``. Needs ``pip install otoscope[speech]``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from espeak import Espeak, Voice
from speech_panel import lines, panel

from otoscope.audio import io
from otoscope.audio.corpus import Clip, read_manifest, write_manifest
from otoscope.audio.resample import resample_array
from otoscope.audio.signals import set_level
from otoscope.core.audio import Audio
from otoscope.core.identity import file_digest

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "src" / "otoscope" / "audio" / "bundled_speech"
RATE, LEVEL_DBFS, QUALITY, LIMIT_BYTES = 16_000, -25.0, 0.15, 2_900_000
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
LICENSE = "Apache-2.0"
ATTRIBUTION = (
    "Otoscope project, texts of its own; rendered with espeak-ng (the engine is GPL-3.0-or-later, not included)"
)

#: speaker: (sex, accent, voice)
SPEAKERS = {
    "f01": ("female", "British", Voice("en+f1", 170, 50)),
    "f02": ("female", "American", Voice("en-us+f2", 175, 55)),
    "f03": ("female", "Scottish", Voice("en-gb-scotland+f3", 165, 45)),
    "f04": ("female", "Received Pronunciation", Voice("en-gb-x-rp+f5", 160, 50)),
    "f05": ("female", "Caribbean", Voice("en-029+Annie", 170, 45)),
    "f06": ("female", "New York", Voice("en-us-nyc+f4", 185, 58)),
    "f07": ("female", "West Midlands", Voice("en-gb-x-gbcwmd+linda", 175, 60)),
    "m01": ("male", "British", Voice("en+m1", 165, 45)),
    "m02": ("male", "American", Voice("en-us+m3", 180, 58)),
    "m03": ("male", "Scottish", Voice("en-gb-scotland+m5", 170, 35)),
    "m04": ("male", "Received Pronunciation", Voice("en-gb-x-rp+Andy", 160, 52)),
    "m05": ("male", "Caribbean", Voice("en-029+m7", 175, 42)),
    "m06": ("male", "New York", Voice("en-us-nyc+Lee", 185, 62)),
    "m07": ("male", "Lancaster", Voice("en-gb-x-gbclan+m4", 160, 30)),
}


@dataclass(frozen=True)
class Line:
    """What one speaker says in one file."""

    speaker: str
    name: str
    text: str
    labels: dict[str, Any]


@dataclass(frozen=True)
class Part:
    """Voices that share a folder, a name and a limit of size."""

    corpus: str
    target: Path
    speakers: dict[str, tuple[str, str, Voice]]
    limit_bytes: int


OWN = Part("bundled-speech", TARGET, SPEAKERS, LIMIT_BYTES)
PANEL = Part("speech-panel", TARGET / "panel", panel(), 1_300_000)


def texts() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Sentences that all say, and the others."""
    rows = [json.loads(row) for row in (HERE / "speech_texts.jsonl").read_text(encoding="utf-8").splitlines()]
    common = [row for row in rows if row["id"].startswith("all")]
    return common, [row for row in rows if not row["id"].startswith("all")]


def script(part: Part = OWN) -> Iterator[Line]:
    """All lines in the order of the manifest."""
    common, others = texts()
    if part is PANEL:
        for speaker, row in lines(others):
            yield _sentence(speaker, row)
        return
    share = len(others) // 7
    for speaker in SPEAKERS:
        for digit, word in enumerate(DIGITS):
            yield Line(speaker, f"{speaker}-digit{digit}", word, {"kind": "digit", "digit": digit})
        # The men start three shares later, so that each sentence pairs two accents.
        turn = (int(speaker[1:]) - 1 + (3 if speaker[0] == "m" else 0)) % 7
        for row in common + others[share * turn : share * (turn + 1)]:
            yield _sentence(speaker, row)


def _sentence(speaker: str, row: dict[str, Any]) -> Line:
    labels = {"kind": "sentence", "text_id": row["id"]}
    labels |= {key: row[key] for key in ("topic", "question", "answer")}
    return Line(speaker, f"{speaker}-{row['id']}", row["text"], labels)


def seed_of(line: Line) -> int:
    return int.from_bytes(hashlib.sha256(line.name.encode()).digest()[:3], "big")


def render(engine: Espeak, line: Line, part: Part = OWN) -> tuple[Audio, str]:
    """The sound at 16 kHz and the sha256 of the engine's own samples."""
    pcm, rate = engine.speak(line.text, part.speakers[line.speaker][2], seed_of(line))
    if np.abs(pcm.astype(int)).max() >= 32767:
        raise RuntimeError(f"{line.name} clips in the engine")
    x = pcm.astype(np.float64) / 32768
    y = set_level(resample_array((x - x.mean())[None], rate, RATE), LEVEL_DBFS)
    return Audio(y.astype(np.float32), RATE), hashlib.sha256(pcm.astype("<i2").tobytes()).hexdigest()


def write(engine: Espeak, part: Part) -> None:
    version = engine.version()
    rendered = [(line, *render(engine, line, part)) for line in script(part)]
    part.target.mkdir(parents=True, exist_ok=True)
    for old in part.target.glob("*.ogg"):
        old.unlink()
    clips = []
    for line, audio, pcm in rendered:
        path = part.target / f"{line.name}.ogg"
        io.write(path, audio, quality=QUALITY)
        sex, accent, voice = part.speakers[line.speaker]
        labels = {
            **line.labels,
            "transcript": line.text,
            "speaker": line.speaker,
            "sex": sex,
            "accent": accent,
            "language": "en",
            "voice": voice.name,
            "speaking_rate_wpm": voice.rate,
            "pitch": voice.pitch,
            "seed": seed_of(line),
            "engine": f"espeak-ng {version}",
            "pcm_sha256": pcm,
        }
        head = io.info(path)
        clips.append(
            Clip(
                path,
                path.name,
                head.duration_s,
                head.rate,
                head.channels,
                file_digest(path),
                labels,
                group=f"{part.corpus}:{line.speaker}",
                license=LICENSE,
                attribution=ATTRIBUTION,
                source="tools/render_speech.py",
                corpus=part.corpus,
            )
        )
    write_manifest(part.target / "manifest.jsonl", clips)
    size = sum(p.stat().st_size for p in part.target.iterdir() if p.is_file())
    total = sum(c.duration_s for c in clips)
    print(f"{len(clips)} clips, {total:.1f} s, {size / 1e6:.3f} MB")
    if size > part.limit_bytes:
        raise RuntimeError(f"{size} bytes exceed {part.limit_bytes}")


def check(engine: Espeak, part: Part) -> int:
    """Number of lines whose samples differ from the manifest's."""
    known = {clip.name: clip.labels["pcm_sha256"] for clip in read_manifest(part.target)}
    wrong = [x.name for x in script(part) if known.get(f"{x.name}.ogg") != render(engine, x, part)[1]]
    missing = sorted(set(known) - {f"{line.name}.ogg" for line in script(part)})
    print(f"{len(known)} clips; differing: {', '.join(wrong) or 'none'}; unknown: {', '.join(missing) or 'none'}")
    return len(wrong) + len(missing)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the manifest instead of writing")
    parser.add_argument("--panel", action="store_true", help="the panel instead of the other voices")
    arguments = parser.parse_args()
    part = PANEL if arguments.panel else OWN
    with Espeak() as engine:
        if arguments.check:
            return min(check(engine, part), 1)
        write(engine, part)
    return 0


if __name__ == "__main__":
    sys.exit(main())
