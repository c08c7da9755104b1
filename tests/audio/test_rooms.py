"""Simulated rooms: cues of the right sign and size, the decay asked for, and the same response every time."""

from __future__ import annotations

import math

import numpy as np
import pyroomacoustics as pra
import pytest

from otoscope.audio import head, rooms
from otoscope.audio.rooms import RoomSpec, simulated_brir
from otoscope.core.audio import Audio
from otoscope.core.errors import UsageError

FREE = RoomSpec((6.0, 5.0, 3.0), absorption=1.0)


def lead_us(audio: Audio) -> float:
    """How much earlier the left ear is, in microseconds, below 1.5 kHz."""
    size, up = 16_384, 16
    spectra = np.fft.rfft(audio.samples.astype(float), size)
    low = np.fft.rfftfreq(size, 1 / audio.rate) < 1500
    peak = int(np.fft.irfft(spectra[1] * spectra[0].conj() * low, size * up).argmax())
    return 1e6 * (peak - size * up * (peak > size * up // 2)) / (audio.rate * up)


def level_db(audio: Audio, low_hz: float, high_hz: float) -> float:
    """Left over right in a band."""
    f = np.fft.rfftfreq(4096, 1 / audio.rate)
    power = np.abs(np.fft.rfft(audio.samples.astype(float), 4096)) ** 2
    left, right = power[:, (f > low_hz) & (f < high_hz)].sum(1)
    return float(10 * np.log10(left / right))


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_the_ear_near_the_source_leads_and_is_louder(rate: int) -> None:
    leads = [lead_us(simulated_brir(FREE, azimuth, 1.5, rate, 0)) for azimuth in (-90, -30, 0, 30, 90)]
    assert leads == sorted(leads)
    assert abs(leads[2]) < 5
    assert leads[3] == pytest.approx(-leads[1], abs=8)
    assert 300 < leads[3] < 420
    # Low frequencies take about 3 r sin(azimuth) / c around a sphere (Kuhn, 1977).
    assert leads[4] == pytest.approx(3e6 * head.RADIUS_M / 343, rel=0.06)
    left = simulated_brir(FREE, 60, 1.5, rate, 0)
    assert level_db(left, 3000, 6000) > 8
    assert abs(level_db(left, 50, 200)) < 0.5


def test_front_and_back_are_mirrored_and_open_ears_have_no_shadow() -> None:
    front, back = (simulated_brir(FREE, azimuth, 1.5, 16_000, 0) for azimuth in (40, 140))
    assert np.allclose(front.samples, back.samples, atol=1e-4)
    opened = RoomSpec((6.0, 5.0, 3.0), absorption=1.0, head="open")
    side = simulated_brir(opened, 90, 1.5, 16_000, 0)
    assert lead_us(side) == pytest.approx(1e6 * 2 * head.RADIUS_M / 343, rel=0.02)
    assert abs(level_db(side, 500, 6000) - 20 * np.log10((1.5 + 0.0875) / (1.5 - 0.0875))) < 0.1


def test_time_of_flight_and_gain() -> None:
    for distance in (1.0, 2.0):
        audio = simulated_brir(FREE, 0, distance, 16_000, 1)
        assert np.abs(audio.samples[0]).argmax() / 16_000 == pytest.approx(distance / 343, abs=2e-4)
        low = np.abs(np.fft.rfft(audio.samples[0].astype(float), 4096))[26]  # 100 Hz
        assert low == pytest.approx(1 / distance, rel=0.02)


@pytest.mark.parametrize("name", ["dry", "office"])
def test_the_reverberation_time_is_the_one_asked_for(name: str) -> None:
    room = rooms.named_rooms()[name]
    assert "simulated" in room.label
    for seed in (0, 1):
        audio = simulated_brir(room, 20, 1.0, 16_000, seed)
        assert rooms.reverberation_time(audio) == pytest.approx(room.rt60_s, rel=0.15)


def test_images_agree_with_pyroomacoustics_own_response() -> None:
    room = RoomSpec((5.2, 4.1, 2.8), absorption=0.5, head="open")
    place, source, bearing = rooms._places(room, 1.5, 7)
    ours = simulated_brir(room, 60, 1.5, 16_000, 7).samples
    ears = place + head.RADIUS_M * head.ear_axes(bearing - math.radians(60))
    theirs = pra.ShoeBox(list(room.size_m), fs=16_000, materials=pra.Material(0.5), max_order=25)
    theirs.add_source(list(source))
    theirs.add_microphone_array(ears.T)
    theirs.compute_rir()
    band = slice(100, 3300)  # of 8192 bins: 195 Hz to 6.4 kHz
    for ear in (0, 1):
        other = np.asarray(theirs.rir[ear][0])[pra.constants.get("frac_delay_length") // 2 :]
        a, b = (np.fft.rfft(x[: ours.shape[1]], 8192)[band] for x in (ours[ear], other))
        assert abs(np.vdot(a, b)) / np.linalg.norm(a) / np.linalg.norm(b) > 0.999


def test_one_seed_one_response_and_turning_the_head_moves_nothing_else() -> None:
    room = rooms.named_rooms()["dry"]
    first, again = (simulated_brir(room, 30, 1.0, 16_000, 4) for _ in range(2))
    assert first.digest() == again.digest()
    assert simulated_brir(room, 30, 1.0, 16_000, 5).digest() != first.digest()
    turned = simulated_brir(room, -30, 1.0, 16_000, 4)
    low = [np.abs(np.fft.rfft(x.samples[0].astype(float), 4096))[13] for x in (first, turned)]
    assert turned.n == first.n
    assert low[0] == pytest.approx(low[1], rel=0.1)
    assert lead_us(turned) < 0 < lead_us(first)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: RoomSpec((5, 4, 3)), "either"),
        (lambda: RoomSpec((5, 4, 3), rt60_s=0.4, absorption=0.2), "either"),
        (lambda: RoomSpec((5, 4, 0.5), rt60_s=0.4), "three sides"),
        (lambda: RoomSpec((5, 4, 3), rt60_s=0.0), "positive"),
        (lambda: RoomSpec((5, 4, 3), absorption=1.2), "absorption"),
        (lambda: RoomSpec((5, 4, 3), rt60_s=0.4, head="cube"), "head"),  # type: ignore[arg-type]
        (lambda: simulated_brir(FREE, 0, 9.0, 16_000, 0), "does not fit"),
        (lambda: simulated_brir(FREE, 0, 0.1, 16_000, 0), "0.3 m"),
        (lambda: simulated_brir(FREE, 0, 1.0, 16_000, -1), "seed"),
        (lambda: simulated_brir(RoomSpec((3, 3, 2.5), rt60_s=2.0), 0, 1.0, 16_000, 0), "order"),
    ],
)
def test_impossible_rooms_are_explained(call: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        call()  # type: ignore[operator]
