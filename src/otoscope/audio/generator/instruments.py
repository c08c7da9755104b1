"""Instruments: one function a family, from pitch, length and strength to samples at the internal rate. Ours.

``play(p, f0_hz, n, strength, rng)`` returns ``[n]`` samples with a peak near ``strength``; ``p`` holds the character of
one particular instrument, drawn once per sound, so that the notes of a phrase share it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from otoscope.audio.generator import dsp
from otoscope.audio.generator.recipe import Array, Between, Parameter, Params

Play = Callable[[Params, float, int, float, np.random.Generator], Array]


@dataclass(frozen=True)
class Instrument:
    """``low`` to ``high`` is the range in MIDI numbers (A4 = 69)."""

    label: str
    summary: str
    low: int
    high: int
    character: Mapping[str, Parameter]
    play: Play


def _vibrato(f0: float, n: int, cents: float, rate_hz: float, rng: np.random.Generator, onset_s: float = 0.15) -> Array:
    t = dsp.time(n)
    swell = np.clip((t - onset_s) / 0.25, 0, 1)
    wave = np.sin(2 * np.pi * (rate_hz * t + rng.random())) * swell + 0.15 * dsp.drift(n, rng, 6.0)
    return f0 * 2 ** (cents / 1200 * wave)


def _peak(x: Array, strength: float) -> Array:
    return x * (strength / max(float(np.abs(x).max()), 1e-9))


def _string(f0: float, n: int, loss_db_s: float, dullness: float, excitation: Array) -> Array:
    """Karplus-Strong (Computer Music Journal 7(2), 1983): a delay line closed over a two-point average.

    The loop delay is made fractional by the weights of the average: ``dullness`` 0..0.5 is the weight of the later
    sample, and the rest of the period is rounded, then corrected by reading the string at a stretched clock.
    """
    period = dsp.RATE / f0 - dullness
    length = max(2, round(period))
    stretch = (length + dullness) / (period + dullness)
    total = int(np.ceil(n * stretch)) + 2
    gain = 10 ** (-loss_db_s / f0 / 20)
    y = np.zeros(total + length + 1)
    m = min(len(excitation), total)
    y[length + 1 : length + 1 + m] = excitation[:m]
    for start in range(length + 1, len(y), length):
        stop = min(start + length, len(y))
        back = y[start - length - 1 : stop - length]
        y[start:stop] += gain * ((1 - dullness) * back[1:] + dullness * back[:-1])
    return np.interp(np.arange(n) * stretch, np.arange(total), y[length + 1 :])


def _plucked_string(p: Params, f0: float, n: int, strength: float, rng: np.random.Generator) -> Array:
    period = max(4, round(dsp.RATE / f0))
    burst = dsp.coloured(period, rng, -3 * (1.4 - strength), 20, 14e3)
    comb = max(1, round(p["pick_at"] * period))
    burst = burst - 0.9 * np.roll(burst, comb)
    x = _string(f0, n, p["loss_db_s"], p["dullness"], burst - burst.mean())
    body = [(105.0, 40, 0.8), (p["body_hz"], 60, 0.7), (2.1 * p["body_hz"], 160, 0.4)]
    x = dsp.shaped(x, lambda f: dsp.peaks(f, body, 0.6))
    return _peak(x * dsp.hold(n, 0.001, 0.03), strength)


def _bass(p: Params, f0: float, n: int, strength: float, rng: np.random.Generator) -> Array:
    period = max(4, round(dsp.RATE / f0))
    burst = dsp.coloured(period, rng, -9, 20, p["edge_hz"])
    x = _string(f0, n, p["loss_db_s"], 0.5, burst - burst.mean())
    x = x / max(float(np.abs(x).max()), 1e-9) + 0.5 * np.sin(2 * np.pi * f0 * dsp.time(n)) * dsp.decay(n, 0.6, 0.008)
    x = dsp.shaped(x, lambda f: 1 / (1 + (f / p["edge_hz"]) ** 2))
    return _peak(x * dsp.hold(n, 0.003, 0.04), strength)


def _organ(p: Params, f0: float, n: int, strength: float, rng: np.random.Generator) -> Array:
    ranks = np.array([0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0])
    gains = np.array([p["sub"], 1.0, 0.8, p["quint"], 0.5, 0.3 * p["mixture"], 0.35 * p["mixture"]])
    x = np.zeros(n)
    for ratio, gain in zip(ranks, gains, strict=True):
        if ratio * f0 < 12e3:
            pipe = dsp.harmonics(np.full(n, ratio * f0 * 2 ** (rng.uniform(-2, 2) / 1200)), PIPE, rng)
            x += gain * pipe
    chiff = dsp.coloured(n, rng, 0, f0, 4 * f0 + 500) * dsp.decay(n, 0.02, 0.004)
    tremor = 1 + p["tremor"] * np.sin(2 * np.pi * 5.7 * dsp.time(n))
    return _peak((x / np.abs(x).max() + p["chiff"] * 0.1 * chiff) * tremor * dsp.hold(n, 0.025, 0.06), strength)


PIPE = np.array([1.0, 0.25, 0.1, 0.04])


def _bowed_string(p: Params, f0: float, n: int, strength: float, rng: np.random.Generator) -> Array:
    pitch = _vibrato(f0, n, p["vibrato_cents"], p["vibrato_hz"], rng)
    x = dsp.harmonics(pitch, np.arange(1.0, 41.0) ** -0.9, rng, 14e3)
    bow = dsp.coloured(n, rng, -2, 400, 6e3) * (0.5 + 0.5 * dsp.drift(n, rng, 30.0))
    body = [(280.0, 90, 1.0), (460.0, 120, 0.9), (p["body_hz"], 500, 0.8), (2600.0, 900, 0.7)]
    x = dsp.shaped(x / np.abs(x).max() + p["bow"] * bow, lambda f: dsp.peaks(f, body, 0.15))
    pressure = 1 + 0.12 * dsp.drift(n, rng, 4.0)
    return _peak(x * pressure * dsp.hold(n, p["attack_s"], 0.09), strength)


def _flute(p: Params, f0: float, n: int, strength: float, rng: np.random.Generator) -> Array:
    pitch = _vibrato(f0, n, p["vibrato_cents"], p["vibrato_hz"], rng)
    amplitudes = np.array([1.0, p["second"] * (0.4 + 0.6 * strength), 0.12, 0.05, 0.02])
    breathing = 1 + 0.12 * np.sin(2 * np.pi * (p["vibrato_hz"] * dsp.time(n) + rng.random()))
    x = dsp.harmonics(pitch, amplitudes, rng) * breathing
    air = dsp.coloured(n, rng, -1, 500, 7e3)
    air = dsp.shaped(air, lambda f: dsp.peaks(f, [(f0, 0.3 * f0, 1.0), (2 * f0, 0.5 * f0, 0.6)], 0.12))
    air = air / np.sqrt(np.mean(air**2)) * (1 + 3 * np.exp(-dsp.time(n) / 0.04))
    return _peak((x / np.abs(x).max() + p["air"] * air) * dsp.hold(n, p["attack_s"], 0.08), strength)


def _brass(p: Params, f0: float, n: int, strength: float, rng: np.random.Generator) -> Array:
    t = dsp.time(n)
    scoop = 2 ** (-p["scoop_cents"] / 1200 * np.exp(-t / 0.03))
    pitch = _vibrato(f0, n, p["vibrato_cents"], 5.2, rng, 0.3) * scoop
    swell = dsp.hold(n, p["attack_s"], 0.07, 0.15) * (1 + 0.04 * dsp.drift(n, rng, 5.0))
    # The louder the tone, the flatter its spectrum: the upper partials follow the envelope with a higher power.
    ratio = np.exp(-1 / (p["brightness"] * (0.5 + 0.5 * strength) * (0.25 + 0.75 * swell)))
    turn = np.exp(2j * np.pi * np.cumsum(pitch) / dsp.RATE)
    count = max(1, int(12e3 / pitch.max()))
    x = (turn * (1 - (ratio * turn) ** count) / (1 - ratio * turn)).imag  # sum of ratio**(k - 1) * sin(k phase)
    x = dsp.shaped(x, lambda f: dsp.peaks(f, [(p["bell_hz"], 1100, 1.0)], 0.35))
    return _peak(x * swell, strength)


def _clarinet(p: Params, f0: float, n: int, strength: float, rng: np.random.Generator) -> Array:
    k = np.arange(1, 20)
    amplitudes = np.where(k % 2, k**-1.1, p["even"] * np.minimum(1.0, k / 8) * k**-1.1)
    x = dsp.harmonics(_vibrato(f0, n, 4, 4.5, rng), amplitudes, rng)
    x = dsp.shaped(x, lambda f: 1 / np.sqrt(1 + (f / p["edge_hz"]) ** 4))
    breath = dsp.coloured(n, rng, -2, 500, 5e3)
    return _peak((x / np.abs(x).max() + 0.01 * breath) * dsp.hold(n, p["attack_s"], 0.06), strength)


def _marimba(p: Params, f0: float, n: int, strength: float, rng: np.random.Generator) -> Array:
    ratios = np.array([1.0, 3.95, 9.7]) * (1 + 0.01 * rng.uniform(-1, 1, 3) * np.array([0, 1, 1]))
    taus = p["tau_s"] * (262 / f0) ** 0.5 * np.array([1.0, 0.25, 0.1])
    x = dsp.partials(f0 * ratios, [1.0, 0.35 * strength, 0.15 * p["hardness"] * strength], taus, n)
    m = min(n, dsp.seconds(0.02))
    x[:m] += 0.3 * p["hardness"] * dsp.coloured(m, rng, -6, 100, 2e3) * dsp.decay(m, 0.003)
    return _peak(x * dsp.hold(n, 0.0005, 0.03), strength)


def _glockenspiel(p: Params, f0: float, n: int, strength: float, rng: np.random.Generator) -> Array:
    ratios = np.array([1.0, 2.756, 5.404, 8.933]) * (1 + 0.004 * rng.uniform(-1, 1, 4) * np.array([0, 1, 1, 1]))
    taus = p["tau_s"] * np.array([1.0, 0.55, 0.2, 0.08])
    x = dsp.partials(f0 * ratios, np.array([1.0, 0.6, 0.35, 0.2]) * p["hardness"] ** np.arange(4), taus, n)
    beat = dsp.partials([f0 * 1.0015], [0.3], [p["tau_s"]], n)
    m = min(n, dsp.seconds(0.01))
    x[:m] += 0.2 * rng.standard_normal(m) * dsp.decay(m, 0.0012, 0.0003)
    return _peak((x + beat) * dsp.hold(n, 0.0005, 0.05), strength)


_STRING = {"loss_db_s": Between(4, 12), "dullness": Between(0.2, 0.45)}
_VOICE = {"vibrato_cents": Between(8, 30), "vibrato_hz": Between(4.5, 6.2)}

INSTRUMENTS: dict[str, Instrument] = {
    i.label: i
    for i in (
        Instrument(
            "bass", "plucked low string", 28, 47, {"loss_db_s": Between(3, 8), "edge_hz": Between(350, 900)}, _bass
        ),
        Instrument(
            "bowed_string",
            "sawtooth-like string with vibrato, bow noise and a body",
            55,
            84,
            {**_VOICE, "bow": Between(0.02, 0.06), "attack_s": Between(0.05, 0.14), "body_hz": Between(900, 1400)},
            _bowed_string,
        ),
        Instrument(
            "brass",
            "harmonics that brighten with loudness, scooped attack",
            46,
            74,
            {
                "vibrato_cents": Between(2, 12),
                "scoop_cents": Between(20, 80),
                "attack_s": Between(0.04, 0.09),
                "brightness": Between(4.0, 8.0),
                "bell_hz": Between(900, 1700),
            },
            _brass,
        ),
        Instrument(
            "clarinet",
            "odd harmonics of a closed pipe",
            50,
            82,
            {"even": Between(0.02, 0.12), "edge_hz": Between(1600, 3000), "attack_s": Between(0.02, 0.06)},
            _clarinet,
        ),
        Instrument(
            "flute",
            "few harmonics, breath and trembling loudness",
            60,
            91,
            {**_VOICE, "second": Between(0.2, 0.5), "air": Between(0.02, 0.06), "attack_s": Between(0.04, 0.1)},
            _flute,
        ),
        Instrument(
            "glockenspiel",
            "struck free metal bar, inharmonic and long",
            72,
            91,
            {"tau_s": Between(0.5, 1.2), "hardness": Between(0.7, 1.1)},
            _glockenspiel,
        ),
        Instrument(
            "marimba",
            "struck wooden bar tuned 1 : 4 : 10, short",
            48,
            79,
            {"tau_s": Between(0.18, 0.4), "hardness": Between(0.4, 1.2)},
            _marimba,
        ),
        Instrument(
            "organ",
            "ranks of pipes at octaves and fifths, steady",
            43,
            79,
            {
                "sub": Between(0.1, 0.5),
                "quint": Between(0.2, 0.6),
                "mixture": Between(0.3, 1.2),
                "tremor": Between(0.0, 0.06),
                "chiff": Between(0.1, 0.6),
            },
            _organ,
        ),
        Instrument(
            "plucked_string",
            "Karplus-Strong string in a body",
            45,
            76,
            {**_STRING, "pick_at": Between(0.1, 0.35), "body_hz": Between(190, 260)},
            _plucked_string,
        ),
    )
}
