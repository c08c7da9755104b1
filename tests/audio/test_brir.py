"""Measured responses from sound and SOFA files, and convolution with them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otoscope.audio import brir, io
from otoscope.audio.signals import db, root_mean_square
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError

AZIMUTHS = (-90.0, 0.0, 45.0, 90.0)


def responses(count: int = len(AZIMUTHS)) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((count, 2, 64)) * np.exp(-np.arange(64) / 9)


def make(path: Path, positions: Any, **fields: Any) -> Path:
    sofar = pytest.importorskip("sofar", reason="the extra 'sofa' is not installed")
    sofa = sofar.Sofa("SimpleFreeFieldHRIR")
    sofa.Data_IR = responses(len(positions))
    sofa.Data_SamplingRate = 44_100
    sofa.Data_Delay = [[0, 0]]
    sofa.SourcePosition = positions
    sofa.SourcePosition_Type = "spherical"
    sofa.SourcePosition_Units = "degree, degree, metre"
    sofa.ReceiverPosition = [[0, 0.09, 0], [0, -0.09, 0]]
    for name, value in fields.items():
        setattr(sofa, name, value)
    sofar.write_sofa(str(path), sofa)
    return path


def test_sofa_round_trip_takes_the_nearest_direction(tmp_path: Path) -> None:
    path = make(tmp_path / "a.sofa", [[a % 360, 0, 1.2] for a in AZIMUTHS])
    assert [(m.azimuth_deg, m.distance_m) for m in brir.measurements(path)] == [(a, 1.2) for a in AZIMUTHS]
    for k, azimuth in enumerate((-88.0, 361.0, 43.0, 90.0)):
        audio = brir.measured_brir(path, azimuth_deg=azimuth)
        assert audio.rate == 44_100
        assert np.array_equal(audio.samples, responses()[k].astype(np.float32))
    assert brir.measured_brir(path, azimuth_deg=0, rate=16_000).rate == 16_000


def test_far_directions_and_distances_are_refused(tmp_path: Path) -> None:
    path = make(tmp_path / "a.sofa", [[0, 0, 1.0], [0, 0, 2.0], [0, 30, 1.0]])
    assert np.array_equal(
        brir.measured_brir(path, azimuth_deg=0, distance_m=1.9).samples, responses(3)[1].astype(np.float32)
    )
    assert np.array_equal(
        brir.measured_brir(path, azimuth_deg=0, elevation_deg=28).samples, responses(3)[2].astype(np.float32)
    )
    for azimuth, distance in ((20.0, None), (0.0, 3.0)):
        with pytest.raises(InputError, match=r"a\.sofa.*nothing within"):
            brir.measured_brir(path, azimuth_deg=azimuth, distance_m=distance)
    wide = brir.measured_brir(path, azimuth_deg=20, tolerance_deg=25)
    assert np.array_equal(wide.samples, responses(3)[0].astype(np.float32))
    with pytest.raises(UsageError, match="which azimuth_deg"):
        brir.measured_brir(path)


def test_a_turning_head_is_seen_from_the_head(tmp_path: Path) -> None:
    """Room measurements keep the loudspeaker and turn the listener: looking right puts the source on the left."""
    views = [[0, 0, 1], [-90, 0, 1], [30, 0, 1]]
    path = make(
        tmp_path / "a.sofa",
        [[0, 0, 2.0]] * 3,
        ListenerView=views,
        ListenerUp=[[0, 0, 1]] * 3,
        ListenerView_Type="spherical",
        ListenerView_Units="degree, degree, metre",
    )
    assert [m.azimuth_deg for m in brir.measurements(path)] == [0.0, 90.0, -30.0]


def test_delays_are_put_back_and_receivers_sorted(tmp_path: Path) -> None:
    swapped = [[0, -0.09, 0], [0, 0.09, 0]]
    path = make(tmp_path / "a.sofa", [[0, 0, 1.0]], Data_Delay=[[0, 7]], ReceiverPosition=swapped)
    audio = brir.measured_brir(path, azimuth_deg=0)
    expected = responses(1)[0]
    assert np.allclose(audio.samples[0, 7:71], expected[1], atol=1e-6)
    assert np.allclose(audio.samples[1, :64], expected[0], atol=1e-6)


def test_unreadable_sofa_files_and_a_missing_extra_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sofar", reason="the extra 'sofa' is not installed")
    (tmp_path / "junk.sofa").write_bytes(b"no netCDF")
    with pytest.raises(InputError, match=r"junk\.sofa: is not a readable SOFA file"):
        brir.measured_brir(tmp_path / "junk.sofa", azimuth_deg=0)
    with pytest.raises(InputError, match="no such file"):
        brir.measured_brir(tmp_path / "no.sofa", azimuth_deg=0)
    monkeypatch.setitem(sys.modules, "sofar", None)
    with pytest.raises(InputError, match=r"extra 'sofa'.*otoscope\[sofa\]"):
        brir.measured_brir(tmp_path / "junk.sofa", azimuth_deg=0)


def test_sound_files_hold_one_response_of_two_channels(tmp_path: Path) -> None:
    audio = Audio(responses(1)[0].astype(np.float32), 16_000)
    io.write(tmp_path / "a.wav", audio)
    assert np.array_equal(brir.measured_brir(tmp_path / "a.wav").samples, audio.samples)
    with pytest.raises(UsageError, match="one response"):
        brir.measured_brir(tmp_path / "a.wav", azimuth_deg=30)
    io.write(tmp_path / "mono.wav", Audio(audio.samples[:1], 16_000))
    with pytest.raises(InputError, match="2 are needed"):
        brir.measured_brir(tmp_path / "mono.wav")


def test_convolution_length_level_and_agreement_with_the_sum() -> None:
    rng = np.random.default_rng(1)
    dry = Audio(rng.standard_normal((1, 500)).astype(np.float32), 16_000)
    ears = Audio(responses(1)[0].astype(np.float32), 16_000)
    wet = brir.convolve(dry, ears)
    assert wet.samples.shape == (2, 563)
    for ear in (0, 1):
        direct = np.convolve(dry.samples[0].astype(float), ears.samples[ear].astype(float))
        assert np.allclose(wet.samples[ear], direct, atol=1e-5)
    same = brir.convolve(dry, ears, length="same")
    assert np.array_equal(same.samples, wet.samples[:, :500])
    level = brir.convolve(dry, ears, level_dbfs=-25.0)
    assert db(root_mean_square(level.samples)) == pytest.approx(-25.0, abs=1e-4)
    assert np.allclose(level.samples / wet.samples, level.samples[0, 5] / wet.samples[0, 5], rtol=1e-4)


def test_convolution_refuses_what_does_not_fit() -> None:
    mono = Audio(np.ones((1, 9), dtype=np.float32), 16_000)
    ears = Audio(np.ones((2, 9), dtype=np.float32), 16_000)
    with pytest.raises(InputError, match="mono sound"):
        brir.convolve(ears, ears)
    with pytest.raises(InputError, match="two-ear"):
        brir.convolve(mono, mono)
    with pytest.raises(InputError, match="16000 Hz and the response 8000 Hz"):
        brir.convolve(mono, Audio(ears.samples, 8000))
    with pytest.raises(UsageError, match="length"):
        brir.convolve(mono, ears, length="valid")  # type: ignore[arg-type]
