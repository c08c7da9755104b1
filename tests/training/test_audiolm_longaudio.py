"""Items of the long-audio builder in the tiny audio language model's training: from the pool alone, asked as its tasks
ask, with answers that are right."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from otoscope.audio import io
from otoscope.audio.mixing import trim
from otoscope.audio.speech import HELD_VOICES
from otoscope.core.audio import Audio
from otoscope.core.items import Item
from otoscope.models.resolve import load, resolve
from otoscope.tasks.audiomarathon.miniature.pool import RATE, TRAINED_SEEDS, Float, Pool, levelled, read_pool
from otoscope.tasks.catalogue import resolve_task
from otoscope.tasks.longaudio.benchmark import Stretch, StretchInputs
from otoscope.tasks.longaudio.families import FAMILIES
from otoscope.training.audiolm import longaudio
from otoscope.training.audiolm.data import batch
from otoscope.training.audiolm.evaluate import long_figures
from otoscope.training.audiolm.loop import Recipe


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two speakers, two takes of every digit, two folds of one sound; every clip is its own noise."""
    root = tmp_path_factory.mktemp("clips")
    rng, lines = np.random.default_rng(0), []
    labels: list[dict[str, object]] = [
        {"digit": d, "speaker": s, "take": t} for s in ("ann", "bob") for d in range(10) for t in range(2)
    ]
    labels += [{"sound": "dog_bark", "fold": fold} for fold in (1, 2) for _ in range(3)]
    for k, own in enumerate(labels):
        path = root / f"{k}.wav"
        io.write(path, Audio(0.1 * rng.standard_normal((1, 8000)).astype(np.float32), RATE), "PCM_16")
        sha = hashlib.sha256(path.read_bytes()).hexdigest()
        about = {"path": path.name, "duration_s": 0.5, "sample_rate": RATE, "channels": 1, "sha256": sha}
        lines.append(json.dumps({**about, "labels": own, "group": str(k)}))
    (root / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    return root / "manifest.jsonl"


@pytest.fixture(scope="module")
def pool(manifest: Path) -> Pool:
    return read_pool(manifest, "train", speaker="bob", fold=2, takes=1, seeds=2)


def digests(parts: Iterable[Float]) -> set[bytes]:
    return {hashlib.sha256(p.tobytes()).digest() for p in parts}


def test_nothing_that_is_held_out_is_in_the_material(manifest: Path, pool: Pool) -> None:
    trained = longaudio.material(pool)
    heard = digests(s.load() for s in trained.sources if s.kind in ("digit", "event", "sentence"))
    held = longaudio.material(read_pool(manifest, "test", speaker="bob", fold=2, seeds=2))
    lacking = digests(s.load() for s in held.sources if s.kind in ("digit", "event", "sentence"))
    takes = read_pool(manifest, "takes", speaker="bob", takes=1)
    left = digests(part for voice in takes.voices for parts in voice.digits.values() for part in parts)
    assert len(heard) > 200
    assert len(lacking) > 100
    assert len(left) == 10
    assert not heard & (lacking | left)
    recorded = digests(levelled(trim(io.read(c.path).samples[0].astype(np.float64))) for c in pool.used)
    assert recorded <= heard, "all that the pool has is used"
    assert {s.speaker for s in held.sources if s.speaker} == {*HELD_VOICES, "bob"}
    assert not {s.speaker for s in trained.sources} & {*HELD_VOICES, "bob"}
    made = ("phrase", "note", "scene", "genre")
    assert max(int(s.id.split("#")[1]) for s in trained.sources if s.kind in made) < TRAINED_SEEDS
    assert min(int(s.id.split("#")[1]) for s in held.sources if s.kind in made) >= TRAINED_SEEDS


def test_every_family_comes_as_its_task_asks_it(pool: Pool) -> None:
    card = resolve("tiny-audiolm").card
    for key in FAMILIES:
        made = longaudio.long_item(np.random.default_rng(1), pool, key, 3, 12.0, 14.0, -55.0)
        assert len(made.sound) == 14 * RATE
        for entry in made.entries:
            text, answer = longaudio.as_turn(entry)
            inputs = StretchInputs(Stretch(entry, "", 0.0, 14.0, "train"))
            asked = resolve_task(f"longaudio/{key}").request(Item("", "", "", inputs, {}, target=entry), card)
            assert text == asked.text
            assert answer in (entry.options or (entry.transcript,))


def test_a_number_that_is_asked_for_is_the_one_that_is_said(pool: Pool) -> None:
    for k in range(5):
        made = longaudio.long_item(np.random.default_rng(k), pool, "recall", k, 9.0, 9.0, -55.0)
        assert longaudio.as_turn(made.entries[0])[1] == " ".join(map(str, made.spoken))
    sentence = longaudio.long_item(np.random.default_rng(0), pool, "transcription", 1, 9.0, 9.0, -55.0)
    assert sentence.spoken == ()
    assert not set(longaudio.as_turn(sentence.entries[0])[1].split()) <= {"one", "two", "three"}


def test_no_question_of_a_chain_gives_another_one_away(pool: Pool) -> None:
    for k in range(6):
        made = longaudio.long_item(np.random.default_rng(k), pool, "hops", k, 12.0, 14.0, -55.0)
        names = {e.id for e in made.entries}
        assert names > {"count", "number-after"}
        assert len(names & {"two", "three", "sound-after"}) == 1
    whole = longaudio.long_item(np.random.default_rng(0), pool, "hops", 0, 12.0, 14.0, -55.0, apart=False)
    assert len(whole.entries) == 5


def test_a_share_of_the_batches_is_built_once_sounds_are_long(pool: Pool) -> None:
    asked = lambda done, long: {  # noqa: E731
        q.split("\n")[0] for step in range(12) for h in batch(pool, 0, step, done, 6, long) for q, _ in h.turns
    }
    one = "Listen to the recording. How many different people speak?"
    assert one in asked(0.5, 1.0)
    assert one not in asked(0.5, 0.0) | asked(0.1, 1.0)
    long = [h for step in range(12) for h in batch(pool, 0, step, 0.5, 6, 1.0)]
    assert all(8 * RATE <= len(h.sound) <= 60 * RATE for h in long)
    assert Recipe(steps=3).long == 0.0, "an earlier run had none of it"


def test_figures_of_a_family_are_counted_by_the_tasks_parser() -> None:
    found = long_figures(load("tiny-audiolm"), read_pool(None, "test", seeds=2), 4, ("scene", "hops"))
    assert list(found) == ["longaudio/scene", "longaudio/hops_1", "longaudio/hops_2", "longaudio/hops_3"]
    assert found["longaudio/scene"]["chance"] == 0.25
    assert found["longaudio/scene"]["accuracy"] > 0.25
