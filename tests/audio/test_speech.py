"""The bundled speech: complete, described, loud enough, and rendered again bit for bit where the engine is at hand."""

from __future__ import annotations

import dataclasses
import importlib.util
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from otoscope.audio import corpus
from otoscope.audio.signals import db, root_mean_square
from otoscope.audio.speech import bundled_speech, load_speech, speech_panel
from otoscope.core.errors import InputError

CLIPS = bundled_speech()
TOOLS = Path(__file__).resolve().parents[2] / "tools"


def test_files_match_the_manifest_and_stay_small() -> None:
    corpus.verify(CLIPS)
    folder = CLIPS[0].path.parent
    assert sum(p.stat().st_size for p in folder.iterdir()) < 3_000_000
    assert {p.name for p in folder.glob("*.ogg")} == {c.name for c in CLIPS}


def test_voices_sexes_accents_and_texts() -> None:
    speakers = {c.group: (c.labels["speaker"], c.labels["sex"], c.labels["accent"]) for c in CLIPS}
    assert Counter(sex for _, sex, _ in speakers.values()) == {"female": 7, "male": 7}
    assert len({accent for _, _, accent in speakers.values()}) == 8
    for group in speakers:
        own = [c.labels for c in CLIPS if c.group == group]
        assert sorted(label["digit"] for label in own if label["kind"] == "digit") == list(range(10))
        assert sum(label["kind"] == "sentence" for label in own) == 10
    sentences = [c.labels for c in CLIPS if c.labels["kind"] == "sentence"]
    said = Counter(label["text_id"] for label in sentences)
    assert len(said) == 58
    for text_id, times in said.items():
        sexes = sorted(label["sex"] for label in sentences if label["text_id"] == text_id)
        assert times == 14 if text_id.startswith("all") else sexes == ["female", "male"]
    assert all(label["question"].endswith("?") and label["answer"] and label["transcript"] for label in sentences)
    assert all(c.license and "espeak-ng" in c.attribution for c in CLIPS)


def test_every_clip_sounds_and_none_clips() -> None:
    for clip in CLIPS:
        audio = load_speech(clip)
        assert (audio.rate, audio.channels) == (16_000, 1)
        assert audio.duration_s == pytest.approx(clip.duration_s)
        assert db(root_mean_square(audio.samples)) == pytest.approx(-25.0, abs=0.5)
        assert np.abs(audio.samples).max() < 0.9
    assert load_speech(CLIPS[0], rate=8000).rate == 8000


def test_the_panel_has_sixteen_pairs_that_share_neither_voice_nor_words() -> None:
    clips = speech_panel()
    corpus.verify(clips)
    assert sum(p.stat().st_size for p in clips[0].path.parent.iterdir()) < 1_000_000
    voices: dict[str, list] = {}
    for clip in clips:
        voices.setdefault(clip.labels["speaker"], []).append(clip)
        assert db(root_mean_square(load_speech(clip).samples)) == pytest.approx(-25.0, abs=0.5)
    assert len(voices) == 32
    assert not {c.labels["voice"] for c in clips} & {c.labels["voice"] for c in CLIPS}
    made_with = ("voice", "pitch", "speaking_rate_wpm")
    assert len({tuple(own[0].labels[k] for k in made_with) for own in voices.values()}) == 32
    for k in range(1, 17):
        woman, man = voices[f"pf{k:02d}"], voices[f"pm{k:02d}"]
        assert [c.labels["sex"] for c in (*woman, *man)] == ["female", "female", "male", "male"]
        assert len({c.labels["text_id"] for c in (*woman, *man)}) == 4
        assert woman[0].labels["accent"] != man[0].labels["accent"]
        hers, his = (max(pitch(load_speech(c).samples[0].astype(float)) for c in own) for own in (woman, man))
        assert hers > 1.2 * his, (k, hers, his)


def pitch(x: np.ndarray) -> float:
    lags = []
    for start in range(0, len(x) - 800, 800):
        frame = x[start : start + 800] - x[start : start + 800].mean()
        if frame.std() > 0.02:
            r = np.correlate(frame, frame, "full")[799:]
            lags.append(40 + int(r[40:267].argmax()))
    return float(16_000 / np.median(lags))


def test_the_sexes_differ_in_pitch() -> None:
    found = {
        clip.labels["speaker"]: pitch(load_speech(clip).samples[0].astype(float))
        for clip in CLIPS
        if clip.labels.get("text_id") == "all01"
    }
    assert min(f for s, f in found.items() if s[0] == "f") > 1.3 * max(f for s, f in found.items() if s[0] == "m")


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    path.write_bytes(CLIPS[1].path.read_bytes())
    with pytest.raises(InputError, match="not the file that was described"):
        load_speech(dataclasses.replace(CLIPS[0], path=path))
    with pytest.raises(InputError, match="no such file"):
        load_speech(dataclasses.replace(CLIPS[0], path=tmp_path / "no.ogg"))


@pytest.mark.skipif(importlib.util.find_spec("espeakng_loader") is None, reason="the extra 'speech' is not installed")
def test_the_tool_renders_the_same_samples_again(monkeypatch: pytest.MonkeyPatch) -> None:
    if not (TOOLS / "render_speech.py").is_file():
        pytest.skip("the rendering tool is not part of an installed package")
    monkeypatch.syspath_prepend(str(TOOLS))
    for name in ("espeak", "render_speech"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import espeak
    import render_speech

    known = {clip.name: clip.labels["pcm_sha256"] for clip in CLIPS}
    lines = list(render_speech.script())
    assert {f"{line.name}.ogg" for line in lines} == set(known)
    with espeak.Espeak() as engine:
        if f"espeak-ng {engine.version()}" != CLIPS[0].labels["engine"]:
            pytest.skip(f"espeak-ng {engine.version()} is not the version of the manifest")
        for line in lines[::35]:
            assert render_speech.render(engine, line)[1] == known[f"{line.name}.ogg"]
        time.sleep(1.1)  # an engine seeded from the clock would change with the second
        assert render_speech.render(engine, lines[35])[1] == known[f"{lines[35].name}.ogg"]
        with pytest.raises(ValueError, match="no variant"):
            engine.speak("one", espeak.Voice("en+nobody"), 1)
