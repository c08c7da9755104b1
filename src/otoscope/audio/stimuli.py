"""Rendering binaural stimuli: one spectral recipe, the same continuous sound at every sample rate.

The noise is a sum of sinusoids at multiples of 1/duration Hz with Rayleigh amplitudes and uniform phases, drawn bin by
bin from 0 Hz upwards: a rendering at 16 kHz holds exactly every second sample of the one at 32 kHz, and a narrow
band holds the bins of the wide one. Noise depends on the seed, the frequency and the interval, never on the SNR or on
the target. All arrays are float64 ``[2, n]``, left ear first.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import numpy as np
import scipy.signal
from numpy.typing import NDArray

from otoscope.audio.binaural import BinauralSpec, child
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError

Float = NDArray[np.float64]
#: ``frozen``: one noise for all conditions of a seed. ``signal``, ``noise``: independent noises of a 2AFC trial.
Interval = Literal["frozen", "signal", "noise"]


def render(spec: BinauralSpec, seed: int, rate: int, interval: Interval = "frozen") -> Float:
    """The stimulus ``[2, n]`` at ``rate`` Hz.

    Raises :class:`InputError` where the band reaches beyond the Nyquist frequency, where the duration is no whole
    number of samples, where a channel to be normalised is silent, and where a sample reaches +/-1 (nothing is ever
    clipped; ``channel_unit_variance`` is exempt, for it is not made for fixed-point files).
    """
    x = _noise(spec, seed, rate, interval)
    if spec.snr_db is not None:
        x = x + _target(spec, seed, rate, interval)
    x = _normalise(x * _gate(_samples(spec, rate), spec.duration_s, spec.ramp_s), spec, seed, rate, interval)
    if spec.level_rove_db:
        r = spec.level_rove_db
        x = x * 10.0 ** (child(seed, "rove", spec.frequency_hz, interval).uniform(-r, r) / 20.0)
    peak = float(np.max(np.abs(x)))
    if peak >= 1.0 and spec.normalise != "channel_unit_variance":
        raise InputError(
            f"{spec.condition} at {spec.snr_db} dB SNR reaches {peak:.3f}, beyond full scale",
            fix="Lower level_dbfs (once, for all conditions).",
        )
    return x


def tone_phase(spec: BinauralSpec, seed: int, interval: Interval = "frozen") -> float:
    """Starting phase of the tone in radians: shared by all conditions and SNRs of a seed."""
    if isinstance(spec.tone_phase, float):
        return spec.tone_phase
    return float(child(seed, "phase", spec.frequency_hz, interval).uniform(0.0, 2.0 * np.pi))


def triplet(
    spec: BinauralSpec, seed: int, rate: int, reference: str = "S0", test: str | None = None
) -> dict[str, Float]:
    """``{"n0", "s0", "spi"}``: noise alone, noise with the reference target, noise with the test target.

    One noise, bit for bit. ``reference`` and ``test`` are target names (``"Sm"``, ``"S_tau=500us"``); ``test`` None is
    the spec's own target. Raises :class:`InputError` for a spec without a target level.
    """
    if spec.snr_db is None:
        raise InputError("a triplet needs a signal-to-noise ratio", fix="Set snr_db.")
    masker = spec.noise_alone().condition + " "
    test_spec = spec if test is None else spec.with_condition(masker + test)
    return {
        "n0": render(spec.noise_alone(), seed, rate),
        "s0": render(spec.with_condition(masker + reference), seed, rate),
        "spi": render(test_spec, seed, rate),
    }


def intervals(spec: BinauralSpec, seed: int, rate: int) -> dict[str, Float]:
    """The two intervals of a 2AFC trial, ``{"signal", "noise"}``: independent noises (running noise), roves and floors.

    Under ``joint_n0`` the gain comes from the noise interval alone, so it tells nothing about the signal interval.
    """
    return {"signal": render(spec, seed, rate, "signal"), "noise": render(spec.noise_alone(), seed, rate, "noise")}


def to_audio(signals: Mapping[str, Float], rate: int) -> dict[str, Audio]:
    """Float32 audio by name. Bit-identical ears stay bit-identical."""
    return {name: Audio(x.astype(np.float32), rate) for name, x in signals.items()}


# --- speech ---------------------------------------------------------------------------------------------------------


def speech_triplet(speech: Float, noise: Float, snr_db: float) -> dict[str, Float]:
    """Triplet with a given target: ``{"n0": noise, "s0": noise + speech, "spi": speech with the right ear inverted}``.

    ``speech`` is ``[n]`` (then the target of ``s0`` is diotic) or ``[2, n]``, two ears in a room (:func:`in_room`; then
    the target of ``s0`` is *not* diotic, and ``spi`` means the polarity of its right ear against ``s0``). ``noise`` is
    ``[n]`` (diotic) or ``[2, n]``, as it is. ``snr_db`` sets the speech power over the noise power, both of the left
    ear and over the whole length. Raises :class:`InputError` on other shapes, different lengths, silence, or samples
    beyond +/-1.
    """
    s, n = _two_ears("speech", speech), _two_ears("noise", noise)
    if s.shape != n.shape:
        raise InputError(f"speech has {s.shape[1]} samples and noise {n.shape[1]}", fix="Cut them to one length.")
    if not np.isfinite(snr_db):
        raise InputError(f"the signal-to-noise ratio must be finite, got {snr_db}")
    power_s, power_n = float(np.mean(s[0] ** 2)), float(np.mean(n[0] ** 2))
    if power_s == 0.0 or power_n == 0.0:
        raise InputError("the left ear of the speech or of the noise is silent, so there is no signal-to-noise ratio")
    s = s * np.sqrt(power_n / power_s * 10.0 ** (snr_db / 10.0))
    out = {"n0": n, "s0": n + s, "spi": n + s * np.array([[1.0], [-1.0]])}
    peak = max(float(np.max(np.abs(x))) for x in out.values())
    if peak >= 1.0:
        raise InputError(f"the mixture reaches {peak:.3f}, beyond full scale", fix="Lower the level of the noise.")
    return out


def in_room(speech: Float, brir: Float) -> Float:
    """Mono ``speech [n]`` heard through a two-ear room response ``brir [2, m]``: ``[2, n]`` (the tail is cut off)."""
    if speech.ndim != 1 or brir.ndim != 2 or brir.shape[0] != 2:
        raise InputError(f"needs speech [n] and a response [2, m], got {speech.shape} and {brir.shape}")
    return np.asarray(scipy.signal.fftconvolve(speech[None], brir, axes=1)[:, : speech.shape[0]])


def _two_ears(what: str, x: Float) -> Float:
    y = np.asarray(x, dtype=np.float64)
    if y.ndim == 1:
        y = np.stack([y, y])
    if y.ndim != 2 or y.shape[0] != 2 or y.shape[1] == 0:
        raise InputError(f"{what} needs an array [n] or [2, n], got {np.shape(x)}")
    if not np.isfinite(y).all():
        raise InputError(f"{what} holds NaN or infinite samples")
    return y


# --- the parts of a stimulus ----------------------------------------------------------------------------------------


def _samples(spec: BinauralSpec, rate: int) -> int:
    if spec.high_hz > rate / 2:
        raise InputError(f"the band {spec.band_name} reaches beyond the Nyquist frequency of {rate} Hz")
    exact = spec.duration_s * rate
    n = round(exact)
    if n < 1 or abs(exact - n) > 1e-6:
        raise InputError(f"{spec.duration_s} s is no whole number of samples at {rate} Hz", fix="Change duration_s.")
    return n


def band_noise(rng: np.random.Generator, n: int, rate: int, low_hz: float, high_hz: float) -> Float:
    """Gaussian noise ``[n]`` of RMS 1 (in expectation) with the multiples of rate/n Hz in low_hz <= f < high_hz.

    Drawn from 0 Hz upwards whatever the band and the rate, so that bands and rates share their bins; DC stays empty.
    Raises :class:`InputError` on a band without bins or beyond the Nyquist frequency.
    """
    first = max(1, math.ceil(low_hz * n / rate - 1e-9))
    stop = math.ceil(high_hz * n / rate - 1e-9)
    if stop <= first or high_hz > rate / 2:
        raise InputError(f"no multiple of {rate / n:g} Hz up to {rate / 2:g} Hz lies in {low_hz:g}-{high_hz:g} Hz")
    draws = rng.standard_normal((stop, 2))
    bins = np.zeros(n // 2 + 1, dtype=np.complex128)
    bins[first:stop] = draws[first:, 0] + 1j * draws[first:, 1]
    return np.asarray(np.fft.irfft(bins, n) * (n / (2.0 * np.sqrt(stop - first))))


def _gaussian(spec: BinauralSpec, rng: np.random.Generator, rate: int) -> Float:
    return band_noise(rng, _samples(spec, rate), rate, spec.low_hz, spec.high_hz)


def _noise(spec: BinauralSpec, seed: int, rate: int, interval: Interval) -> Float:
    """Masker and interaural floor ``[2, n]``, before the gate; read-only."""
    alone = replace(spec.noise_alone(), target="S0", itd_us=0.0, phase_deg=0.0, ild_db=0.0)
    return _render_noise(alone, seed, rate, interval)


@functools.lru_cache(maxsize=8)  # the conditions and SNRs of a seed follow each other and share their noise
def _render_noise(spec: BinauralSpec, seed: int, rate: int, interval: Interval) -> Float:
    level = 10.0 ** (spec.level_dbfs / 20.0)
    left = level * _gaussian(spec, child(seed, "noise", spec.frequency_hz, interval), rate)
    if spec.masker in ("Nu", "Nrho"):
        other = level * _gaussian(spec, child(seed, "independent", spec.frequency_hz, interval), rate)
        rho = spec.rho if spec.masker == "Nrho" else 0.0
        right = rho * left + np.sqrt(1.0 - rho**2) * other
    else:
        right = {"N0": left, "Npi": -left, "Nm": np.zeros_like(left)}[spec.masker]
    x = np.stack([left, right])
    if spec.interaural_floor_db is not None:
        rngs = [child(seed, "floor", ear, spec.frequency_hz, interval) for ear in ("left", "right")]
        x += level * 10.0 ** (spec.interaural_floor_db / 20.0) * np.stack([_gaussian(spec, r, rate) for r in rngs])
    x.flags.writeable = False
    return x


def _target(spec: BinauralSpec, seed: int, rate: int, interval: Interval) -> Float:
    """The tone ``[2, n]``, before the gate. The left ear is the same for every configuration."""
    level_db = spec.level_dbfs + spec.broadband_snr_db
    t = np.arange(_samples(spec, rate)) / rate
    angle = 2.0 * np.pi * spec.frequency_hz * t + tone_phase(spec, seed, interval)
    amplitude = np.sqrt(2.0) * 10.0 ** (level_db / 20.0)
    left = amplitude * np.sin(angle)
    if spec.target in ("Stau", "Sphi"):
        lag = 2e-6 * np.pi * spec.frequency_hz * spec.itd_us if spec.target == "Stau" else np.deg2rad(spec.phase_deg)
        right = amplitude * np.sin(angle - lag)
    else:
        gains = {"S0": 1.0, "Spi": -1.0, "Sm": 0.0, "Sild": 10.0 ** (-spec.ild_db / 20.0)}
        right = gains[spec.target] * left
    return np.stack([left, right])


@functools.lru_cache(maxsize=8)
def _gate(n: int, duration_s: float, ramp_s: float) -> Float:
    """Raised-cosine gate ``[n]``; read-only."""
    t = np.arange(n) * (duration_s / n)
    gate = np.ones(n)
    if ramp_s > 0.0:
        gate = 0.5 - 0.5 * np.cos(np.pi * np.clip(np.minimum(t, duration_s - t) / ramp_s, 0.0, 1.0))
    gate.flags.writeable = False
    return gate


def _normalise(x: Float, spec: BinauralSpec, seed: int, rate: int, interval: Interval) -> Float:
    if spec.normalise == "none":
        return x
    if spec.normalise == "channel_unit_variance":
        centred = x - x.mean(axis=1, keepdims=True)
        return centred / _audible(np.sqrt(np.mean(centred**2, axis=1, keepdims=True)), spec)
    if spec.normalise == "joint_n0":
        # Before the gate, where the power of the bins is the same at every rate; the left ear, for it is the same
        # noise under every masker; never the signal interval, whose gain would tell its noise level.
        reference = _noise(spec, seed, rate, "frozen" if interval == "frozen" else "noise")
        rms = np.sqrt(np.mean(reference[0] ** 2))
    else:
        rms = np.sqrt(np.mean(x**2)) if spec.normalise == "joint_rms" else np.sqrt(np.mean(x.mean(axis=0) ** 2))
    return x * (10.0 ** (spec.level_dbfs / 20.0) / _audible(rms, spec))


def _audible(rms: Float, spec: BinauralSpec) -> Float:
    if np.min(rms) <= 1e-12:
        raise InputError(f"{spec.condition} is silent where normalise={spec.normalise!r} needs a level")
    return rms
