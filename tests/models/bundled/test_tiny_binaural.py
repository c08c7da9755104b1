"""The two trained tiny encoders: what they can hear, that the weights are the ones described, and what they learned."""

from __future__ import annotations

import numpy as np
import pytest

from otoscope.core.audio import Audio
from otoscope.core.identity import file_digest
from otoscope.models.bundled.tiny_binaural import WEIGHTS, about
from otoscope.models.conformance import check
from otoscope.models.resolve import resolve

NAMES = ("tiny-binaural-general", "tiny-binaural-spatial")
BOTH = pytest.mark.parametrize("name", NAMES)


def sound(seed: int = 1, seconds: float = 1.0) -> Audio:
    rng = np.random.default_rng(seed)
    return Audio((0.05 * rng.standard_normal((2, round(16_000 * seconds)))).astype(np.float32), 16_000)


def last(name: str, x: Audio) -> np.ndarray:
    return resolve(name).encode([x])[0].frames["last"]


def flipped(x: Audio) -> Audio:
    """The right ear inverted: levels at each ear stay, the phase between the ears turns by half a cycle."""
    return Audio(x.samples * np.array([[1.0], [-1.0]], dtype=np.float32), x.rate)


@BOTH
def test_the_contract_holds(name: str) -> None:
    results = check(name)
    assert [c.name for c in results if c.status == "failed"] == []
    assert [c.name for c in results if c.status == "known"] == ["padding invariance"]


@BOTH
def test_weights_are_small_and_the_ones_described(name: str) -> None:
    file = WEIGHTS / f"{name}.safetensors"
    assert file.stat().st_size <= 2_000_000
    model = resolve(name)
    assert file_digest(file) in str(model.identity())
    assert model.card.licence == "CC BY-SA 4.0"
    assert (WEIGHTS / "ATTRIBUTION.md").is_file()
    facts = about(name.rpartition("-")[2])
    assert facts["recipe"]["seed"] == 1
    assert len(facts["trained_on_sha256"]) > 1000


def test_the_general_one_is_blind_to_interaural_phase() -> None:
    x = sound()
    assert np.array_equal(last("tiny-binaural-general", x), last("tiny-binaural-general", flipped(x)))
    assert not np.allclose(last("tiny-binaural-spatial", x), last("tiny-binaural-spatial", flipped(x)), atol=0.1)
    assert [sorted(resolve(n).card.cues) for n in NAMES] == [["magnitude"], ["ipd", "magnitude"]]


@BOTH
def test_twins_are_drawn_from_their_seed(name: str) -> None:
    x = sound()
    one, again, other = (last(f"{name}:init=random,seed={s}", x) for s in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.allclose(one, other, atol=0.01)
    assert not np.allclose(one, last(name, x), atol=0.01)
    assert resolve(f"{name}:init=random").card.notes == ("random weights: has learned nothing",)


def test_frames_are_of_the_real_length_and_short_sounds_are_refused() -> None:
    assert last(NAMES[0], sound(seconds=0.5)).shape == (1, 12, 384)
    assert last(NAMES[0], sound(seconds=0.04)).shape == (1, 1, 384)
    with pytest.raises(Exception, match="fewer than a frame needs"):
        last(NAMES[0], sound(seconds=0.03))


def test_the_spatial_one_learned_direction_and_the_twin_did_not() -> None:
    """Nearest class mean over held-out voices in a held-out room: left, ahead or right, from the pooled vector."""
    from otoscope.audio.brir import convolve
    from otoscope.audio.rooms import simulated_brir
    from otoscope.audio.speech import bundled_speech, load_speech
    from otoscope.training.binaural.scenes import held_out, rooms

    clips = [c for c in bundled_speech() if held_out(c) and c.labels["kind"] != "digit"][:16]
    room = rooms(held=True)[1]
    rng = np.random.default_rng(3)

    def vectors(name: str) -> np.ndarray:
        model, out = resolve(name), []
        for i, clip in enumerate(clips):
            voice = load_speech(clip, rate=16_000)
            for azimuth in (60.0, 0.0, -60.0):
                ears = convolve(voice, simulated_brir(room, azimuth, 1.0, 16_000, seed=i), length="same")
                noise = rng.standard_normal(ears.samples.shape) * ears.samples.std() * 0.5
                out.append(model.embed([Audio((ears.samples + noise).astype(np.float32), 16_000)])[0]["last"])
        return np.stack(out).reshape(len(clips), 3, -1)

    def accuracy(v: np.ndarray) -> float:
        means = v[:8].mean(axis=0)
        away = np.linalg.norm(v[8:, :, None] - means[None, None], axis=-1)
        return float(np.mean(away.argmin(axis=-1) == np.arange(3)))

    assert accuracy(vectors("tiny-binaural-spatial")) >= 0.9  # chance is a third
