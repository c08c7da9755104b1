"""Whisper and AST: full windows inside, real length outside."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

from otoscope.core.errors import InputError, UsageError
from otoscope.models.resolve import resolve


def whisper_states(folder, x: np.ndarray) -> tuple:
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.WhisperModel.from_pretrained(folder).eval()
    features = extractor([x], sampling_rate=16000, return_tensors="pt")["input_features"]
    with torch.no_grad():
        return model.encoder(features, output_hidden_states=True).hidden_states


@pytest.mark.parametrize(("seconds", "frames"), [(0.5, 25), (0.501, 26), (2.0, 100)])
def test_whisper_gives_the_frames_of_the_sound_and_no_more(checkpoint, noise, seconds: float, frames: int) -> None:
    folder = checkpoint("whisper")
    sound = noise(3, seconds)
    one = resolve(f"{folder}:layer=all").encode([sound])[0]
    states = whisper_states(folder, sound.samples[0])
    assert sorted(one.frames) == [0, 1, 2]
    assert one.hop_s == 0.02
    for layer, x in one.frames.items():
        assert x.shape == (1, frames, 32)
        assert np.array_equal(x[0], states[layer][0, :frames].numpy())


def test_the_silence_after_a_sound_is_not_in_the_pooled_mean(checkpoint, noise) -> None:
    folder = checkpoint("whisper")
    sound = noise(3, 0.5)
    vector = resolve(str(folder)).embed([sound])[0]["last"]
    window = whisper_states(folder, sound.samples[0])[-1][0].numpy()
    np.testing.assert_allclose(vector, window[:25].mean(axis=0), atol=1e-6)
    assert np.abs(vector - window.mean(axis=0)).max() > 0.01


def test_what_is_longer_than_the_window_is_refused(checkpoint, noise) -> None:
    for family in ("whisper", "ast"):
        with pytest.raises(InputError, match=r"is longer than the network hears .* Split it"):
            resolve(str(checkpoint(family))).encode([noise(0, 2.1)])


def test_whisper_says_so_on_its_card(checkpoint) -> None:
    card = resolve(str(checkpoint("whisper"))).card
    assert card.fixed_duration_s == 2.0
    assert card.layers == (0, 1, 2, "last")


def ast_states(folder, x: np.ndarray) -> tuple:
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    model = transformers.ASTModel.from_pretrained(folder).eval()
    values = extractor([x], sampling_rate=16000, return_tensors="pt")["input_values"]
    with torch.no_grad():
        out = model(values, output_hidden_states=True)
    return (*out.hidden_states, out.last_hidden_state), out.pooler_output


def test_ast_averages_the_patches_of_the_sound_over_frequency(checkpoint, noise) -> None:
    folder = checkpoint("ast")
    sound = noise(4, 1.0)
    one = resolve(f"{folder}:layer=all").encode([sound])[0]
    states, _ = ast_states(folder, sound.samples[0])
    assert list(one.frames) == [0, 1, 2, "last"]
    assert one.hop_s == 0.1
    spectra = 1 + (16000 - 400) // 160  # 98
    real = 1 + (spectra - 16) // 10  # patches of 16 spectra every 10
    for layer, state in zip(one.frames, states, strict=True):
        patches = state[0, 2:].reshape(5, 12, 32)  # bands x times: 64 mel and 128 spectra
        assert one.frames[layer].shape == (1, real, 32)
        np.testing.assert_allclose(one.frames[layer][0], patches.mean(dim=0)[:real].numpy(), atol=1e-6)


def test_ast_patches_are_ordered_in_time(checkpoint) -> None:
    """A click late in the sound moves late frames of the embedding layer, not early ones."""
    folder = checkpoint("ast")
    x = np.random.default_rng(0).standard_normal((1, 16000)).astype(np.float32) * 0.01
    late = x.copy()
    late[:, 14000:14100] += 1.0
    from otoscope.core.audio import Audio

    a, b = resolve(f"{folder}:layer=0").encode([Audio(x, 16000), Audio(late, 16000)])
    moved = np.abs(a.frames[0] - b.frames[0]).max(axis=(0, 2))
    assert moved[-1] > 10 * moved[0]


def test_ast_summary_tokens(checkpoint, noise) -> None:
    folder = checkpoint("ast")
    sound = noise(4, 1.0)
    one = resolve(f"{folder}:tokens=cls").encode([sound])[0]
    _, pooled = ast_states(folder, sound.samples[0])
    assert one.frames["last"].shape == (1, 1, 32)
    assert one.hop_s is None
    np.testing.assert_allclose(one.frames["last"][0, 0], pooled[0].numpy(), atol=1e-6)
    with pytest.raises(UsageError, match="tokens=words"):
        resolve(f"{folder}:tokens=words")


def test_a_sound_shorter_than_a_patch_keeps_one(checkpoint, noise) -> None:
    assert resolve(str(checkpoint("ast"))).encode([noise(0, 0.1)])[0].frames["last"].shape == (1, 1, 32)
