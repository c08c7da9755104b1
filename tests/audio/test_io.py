"""Reading and writing: all samples, or an error that names the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from otoscope.audio import io
from otoscope.audio.signals import band_pass
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError

RATE = 16_000


def noise(channels: int = 1, n: int = RATE, seed: int = 0) -> Audio:
    """Band noise, different in every channel; lossy codecs keep its shape."""
    x = band_pass(np.random.default_rng(seed).standard_normal((channels, n)), RATE, (200.0, 1200.0))
    return Audio((0.3 * x).astype(np.float32), RATE)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
@pytest.mark.parametrize("channels", [1, 2])
def test_round_trip_keeps_shape_and_info_agrees(tmp_path: Path, suffix: str, channels: int) -> None:
    audio, path = noise(channels), tmp_path / f"a{suffix}"
    io.write(path, audio)
    back, head = io.read(path, channels=channels), io.info(path)
    assert back.samples.shape == audio.samples.shape
    assert (head.rate, head.channels, head.frames, head.duration_s) == (RATE, channels, RATE, 1.0)
    tolerance = {".wav": 0.0, ".flac": 2**-23}.get(suffix)
    if tolerance is not None:
        assert np.abs(back.samples - audio.samples).max() <= tolerance
    else:
        for one, other in zip(back.samples, audio.samples, strict=True):
            assert np.corrcoef(one, other)[0, 1] > 0.95
    assert list(tmp_path.iterdir()) == [path]


def test_float_wav_holds_what_lies_beyond_full_scale_and_integers_refuse_it(tmp_path: Path) -> None:
    loud = Audio(40 * noise().samples, RATE)
    io.write(tmp_path / "a.wav", loud)
    assert np.array_equal(io.read(tmp_path / "a.wav").samples, loud.samples)
    for name, subtype in (("b.wav", "PCM_16"), ("b.flac", None), ("b.ogg", None)):
        with pytest.raises(InputError, match="clip"):
            io.write(tmp_path / name, loud, subtype=subtype)
        assert not (tmp_path / name).exists()


def test_a_part_is_the_slice_of_the_whole_and_must_lie_inside(tmp_path: Path) -> None:
    io.write(tmp_path / "a.flac", noise(2))
    whole = io.read(tmp_path / "a.flac").samples
    part = io.read(tmp_path / "a.flac", start_s=0.25, duration_s=0.5).samples
    assert np.array_equal(part, whole[:, 4000:12000])
    assert np.array_equal(io.read(tmp_path / "a.flac", start_s=0.9).samples, whole[:, 14400:])
    for start, duration in ((0.8, 0.5), (1.0, None), (2.0, 0.1)):
        with pytest.raises(InputError, match="is not in it"):
            io.read(tmp_path / "a.flac", start_s=start, duration_s=duration)
    for start, duration in ((-0.1, None), (0.0, 0.0)):
        with pytest.raises(UsageError):
            io.read(tmp_path / "a.flac", start_s=start, duration_s=duration)


def test_rate_resamples_and_channels_are_never_mixed(tmp_path: Path) -> None:
    io.write(tmp_path / "a.wav", noise(2))
    assert io.read(tmp_path / "a.wav", rate=8000).samples.shape == (2, 8000)
    with pytest.raises(InputError, match=r"a\.wav: has 2 channels where 1 are needed"):
        io.read(tmp_path / "a.wav", channels=1)


def test_files_without_usable_samples_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "junk.wav").write_bytes(b"not a sound " * 99)
    sf.write(tmp_path / "none.wav", np.zeros((0, 1)), RATE)
    sf.write(tmp_path / "nan.wav", np.array([0.0, np.nan, np.inf]), RATE, subtype="FLOAT")
    cases = {
        "missing.wav": "no such file",
        "": "is a folder",
        "empty.wav": "0 bytes",
        "junk.wav": "not a readable",
        "none.wav": "no samples",
    }
    for name, words in cases.items():
        for call in (io.read, io.info):
            with pytest.raises(InputError, match=words) as caught:
                call(tmp_path / name)
            assert caught.value.where == str(tmp_path / name)
    with pytest.raises(InputError, match=r"nan\.wav: holds 2 NaN or infinite"):
        io.read(tmp_path / "nan.wav")


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".mp3"])
def test_truncated_files_never_pass(tmp_path: Path, suffix: str) -> None:
    io.write(tmp_path / f"a{suffix}", noise(n=2 * RATE))
    data = (tmp_path / f"a{suffix}").read_bytes()
    path = tmp_path / f"cut{suffix}"
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(InputError) as caught:
            io.read(path)
        assert caught.value.where == str(path)


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".mp3"])
def test_holes_in_compressed_streams_never_pass(tmp_path: Path, suffix: str) -> None:
    io.write(tmp_path / f"a{suffix}", noise(n=2 * RATE))
    data = bytearray((tmp_path / f"a{suffix}").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = bytes(600)
    (tmp_path / f"hole{suffix}").write_bytes(data)
    with pytest.raises(InputError, match="hole"):
        io.read(tmp_path / f"hole{suffix}")


def test_a_stream_of_unknown_length_is_read(tmp_path: Path) -> None:
    """WAV written to a pipe announces the largest size there is."""
    io.write(tmp_path / "a.wav", noise(), subtype="PCM_16")
    data = bytearray((tmp_path / "a.wav").read_bytes())
    assert data[36:40] == b"data"
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "pipe.wav").write_bytes(data)
    assert io.read(tmp_path / "pipe.wav").n == RATE


def test_writing_says_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.xyz"):
        io.write(tmp_path / "a.xyz", noise())
    with pytest.raises(UsageError, match="no subtype 'MP9'"):
        io.write(tmp_path / "a.wav", noise(), subtype="mp9")
    with pytest.raises(InputError, match="folder does not exist"):
        io.write(tmp_path / "no" / "a.wav", noise())


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    io.write(path, noise())
    before = path.read_bytes()
    with pytest.raises(UsageError, match="up to 200000 Hz"):
        io.write(path, Audio(noise().samples, 999_999))
    mp3 = tmp_path / "a.mp3"
    with pytest.raises(InputError, match=r"a\.mp3: cannot be written"):
        io.write(mp3, Audio(noise().samples, 10_000))  # no such rate in MPEG audio
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
