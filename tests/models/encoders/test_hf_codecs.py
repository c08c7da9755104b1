"""Codecs: frames are what enters the quantiser."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

from otoscope.core.audio import Audio
from otoscope.models.resolve import resolve


def encodec_chunks(folder, x: np.ndarray) -> list[np.ndarray]:
    """The encoder of the bare model over 1 s chunks every 0.99 s, each divided by the RMS of its mono sum."""
    model = transformers.EncodecModel.from_pretrained(folder).eval()
    out = []
    for start in range(0, x.shape[1], 47520):
        piece = torch.tensor(x[None, :, start : start + 48000])
        scale = piece.mean(dim=1, keepdim=True).pow(2).mean(dim=-1, keepdim=True).sqrt() + 1e-8
        with torch.no_grad():
            out.append(model.encoder(piece / scale)[0].T.numpy())
    return out


def test_encodec_48_khz_is_stereo_and_chunked(checkpoint, noise) -> None:
    folder = checkpoint("encodec48")
    model = resolve(str(folder))
    assert (model.card.rate, model.card.channels, model.policy) == (48000, 2, "native")
    sound = noise(5, 2.5, 48000)
    frames = model.encode([sound])[0].frames["last"]
    chunks = encodec_chunks(folder, sound.samples)
    assert [len(c) for c in chunks] == [150, 150, 78]
    expected = np.concatenate([chunks[0], chunks[1][2:], chunks[2][2:]])  # 480 samples were heard twice
    np.testing.assert_allclose(frames[0], expected, atol=1e-5)


def test_encodec_level_normalisation_can_be_switched(checkpoint, noise) -> None:
    folder = checkpoint("encodec48")
    sound = noise(5, 0.5, 48000)
    loud = Audio(sound.samples * 4.0, 48000)
    default, on, off = (resolve(f"{folder}{p}") for p in ("", ":normalize=true", ":normalize=false"))
    same = default.encode([sound])[0].frames["last"]
    assert np.array_equal(on.encode([sound])[0].frames["last"], same)
    np.testing.assert_allclose(on.encode([loud])[0].frames["last"], same, atol=1e-4)  # level is gone
    plain = off.encode([sound])[0].frames["last"]
    assert np.abs(plain - same).max() > 0.01
    assert np.abs(off.encode([loud])[0].frames["last"] - plain).max() > 0.01
    assert on.identity() != off.identity()
    with torch.no_grad():
        bare = transformers.EncodecModel.from_pretrained(folder).eval().encoder(torch.tensor(sound.samples[None]))
    np.testing.assert_allclose(plain[0], bare[0].T.numpy(), atol=1e-6)


def test_encodec_gain_follows_the_mono_sum_where_an_antiphase_tone_cancels(checkpoint) -> None:
    """The trap on the card: with the gain on, a tone in phase is turned down with its noise, a tone in antiphase isn't,
    so the two differ in level before any binaural processing; with the gain off they don't."""
    t = np.arange(24000) / 48000
    rng = np.random.default_rng(0)
    n, s = 0.05 * rng.standard_normal(24000), 0.2 * np.sin(2 * np.pi * 500 * t)
    folder = checkpoint("encodec48")
    on, off, left = (resolve(f"{folder}:{p}") for p in ("normalize=true", "normalize=false", "channels=left"))
    gains, alone = {}, {}
    for name, right in (("s0", n + s), ("spi", n - s)):
        ears = np.stack([n + s, right])
        gains[name] = 1.0 / np.sqrt(np.mean(ears.mean(axis=0) ** 2))
        heard = on.encode([Audio(ears.astype(np.float32), 48000)])[0].frames["last"]
        turned = off.encode([Audio((gains[name] * ears).astype(np.float32), 48000)])[0].frames["last"]
        np.testing.assert_allclose(heard, turned, atol=1e-4)
        alone[name] = left.encode([Audio(ears.astype(np.float32), 48000)])[0].frames["last"]
    leak_db = 20.0 * np.log10(gains["spi"] / gains["s0"])
    assert leak_db == pytest.approx(10.0 * np.log10(1.0 + 0.02 / 0.0025), abs=0.1)  # the tone's power over the noise's
    assert np.array_equal(alone["s0"], alone["spi"])  # a diotic left ear: the sum is that ear, nothing leaks


def test_encodec_24_khz_is_mono(checkpoint, noise) -> None:
    folder = checkpoint("encodec24")
    model = resolve(str(folder))
    sound = noise(6, 0.5, 24000)
    frames = model.encode([sound])[0]
    with torch.no_grad():
        bare = transformers.EncodecModel.from_pretrained(folder).eval().encoder(torch.tensor(sound.samples[:1][None]))
    assert np.array_equal(frames.frames["last"][0], bare[0].T.numpy())
    assert frames.hop_s == pytest.approx(320 / 24000)


@pytest.mark.parametrize(("family", "hop"), [("dac", 320), ("xcodec", 320)])
@pytest.mark.parametrize("n", [8000, 8100])
def test_dac_and_xcodec_keep_the_frames_that_begin_in_the_sound(
    checkpoint, noise, family: str, hop: int, n: int
) -> None:
    folder = checkpoint(family)
    sound = noise(7, n / 16000)
    frames = resolve(str(folder)).encode([sound])[0]
    assert frames.frames["last"].shape[1] == -(-n // hop)
    assert frames.hop_s == hop / 16000
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    values = extractor(sound.samples[0], sampling_rate=16000, return_tensors="pt")["input_values"]
    model = transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        if family == "dac":
            expected = model.encoder(values)[0].T
        else:
            acoustic = model.acoustic_encoder(values)
            semantic = model.encoder_semantic(model._extract_semantic_features(values).transpose(1, 2))
            if acoustic.shape[2] != semantic.shape[2]:
                acoustic = model.acoustic_encoder(torch.nn.functional.pad(values, (model.pad, model.pad)))
            expected = model.fc(torch.cat([acoustic, semantic], dim=1).transpose(1, 2))[0]
    assert np.array_equal(frames.frames["last"][0], expected.numpy())


def test_mimi_layers_and_their_two_rates(checkpoint, noise) -> None:
    folder = checkpoint("mimi")
    model = resolve(f"{folder}:layer=all")
    assert model.card.layers == (0, 1, 2, 3, "last")
    sound = noise(8, 0.8, 24000)
    one = model.encode([sound])[0]
    assert {k: f.shape for k, f in one.frames.items()} == {
        0: (1, 20, 32),
        1: (1, 20, 32),
        2: (1, 20, 32),
        3: (1, 10, 32),
    }
    assert one.hop_s is None
    assert model.encode([sound], [0, 1])[0].hop_s == pytest.approx(0.04)
    last = model.encode([sound], ["last"])[0]
    assert last.hop_s == pytest.approx(0.08)
    assert np.array_equal(last.frames["last"], one.frames[3])
    bare = transformers.MimiModel.from_pretrained(folder).eval()
    with torch.no_grad():
        codes = bare.encode(torch.tensor(sound.samples[:1][None])).audio_codes
        again = bare.quantizer.encode(torch.from_numpy(last.frames["last"]).transpose(1, 2))
    assert torch.equal(again.transpose(0, 1), codes)  # the library's codes follow from our frames


def test_codecs_have_one_layer(checkpoint, noise) -> None:
    one = resolve(f"{checkpoint('dac')}:layer=all").encode([noise()], ["all", "last"])[0]
    assert list(one.frames) == [0, "last"]
    assert np.array_equal(one.frames[0], one.frames["last"])
