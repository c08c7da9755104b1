"""Event classes of animals, weather and water. Ours; built to be told apart, not to deceive the ear."""

from __future__ import annotations

import numpy as np

from otoscope.audio.generator import dsp
from otoscope.audio.generator.recipe import Among, Array, Between, Params, Whole, event


@event(
    pitch_hz=Between(220, 560, log=True),
    formant_hz=Between(650, 1100),
    length_s=Between(0.14, 0.28),
    barks=Whole(1, 3),
    gap_s=Between(0.32, 0.5),
    pause_s=Between(0.25, 0.8),
    breath=Between(0.3, 0.9),
)
def dog_bark(p: Params, n: int, rng: np.random.Generator) -> Array:
    """Short harmonic shouts with an arched pitch, breath noise and two formants, in groups."""
    formants = [(p["formant_hz"], 350.0, 1.0), (2.4 * p["formant_hz"], 500.0, 0.5)]

    def tract(f: Array) -> Array:
        return dsp.peaks(f, formants)

    out = np.zeros(n)
    for start in dsp.onsets(n, p["pause_s"] + p["barks"] * p["gap_s"], 0.15, rng):
        for k in range(p["barks"]):
            m = dsp.seconds(p["length_s"] * rng.uniform(0.85, 1.15))
            u = np.linspace(0, 1, m)
            f0 = p["pitch_hz"] * rng.uniform(0.95, 1.05) * (0.75 + 0.45 * np.sin(np.pi * u**0.6))
            voice = dsp.harmonics(f0, np.arange(1.0, 31.0) ** -0.6, rng, 7e3)
            voice += p["breath"] * dsp.coloured(m, rng, -3, 400, 5e3)
            bark = dsp.shaped(voice, tract) * dsp.hold(m, 0.012, 0.6 * m / dsp.RATE)
            dsp.place(out, bark * rng.uniform(0.7, 1), start + dsp.seconds(k * p["gap_s"]))
    return out


@event(
    pitch_hz=Between(1900, 2700, log=True),
    bend=Between(0.1, 0.35),
    shape=Among(("up", "down", "arch")),
    chirps=Whole(3, 8),
    chirps_hz=Between(6, 12),
    share=Between(0.5, 0.85),
    pause_s=Between(0.2, 0.7),
    second=Between(0.02, 0.15),
)
def bird_chirp(p: Params, n: int, rng: np.random.Generator) -> Array:
    """Phrases of quick whistled glides."""
    out = np.zeros(n)
    for start in dsp.onsets(n, p["chirps"] / p["chirps_hz"] + p["pause_s"], 0.2, rng):
        for k in range(p["chirps"]):
            m = dsp.seconds(p["share"] / p["chirps_hz"])
            u = np.linspace(0, 1, m)
            bend = p["bend"] * (u if p["shape"] == "up" else 1 - u if p["shape"] == "down" else np.sin(np.pi * u))
            f0 = p["pitch_hz"] * (1 + bend) * rng.uniform(0.97, 1.03)
            chirp = dsp.harmonics(f0, np.array([1, p["second"]]), rng) * np.hanning(m)
            dsp.place(out, chirp * rng.uniform(0.7, 1), start + dsp.seconds(k / p["chirps_hz"]))
    return out


@event(pitch_hz=Between(2900, 3600), pulses=Whole(3, 6), pulses_hz=Between(35, 60), trains_hz=Between(2.0, 4.5))
def cricket(p: Params, n: int, rng: np.random.Generator) -> Array:
    """A steady high tone gated into trains of pulses."""
    out = np.zeros(n)
    m = dsp.seconds(0.7 / p["pulses_hz"])
    for start in dsp.onsets(n, 1 / p["trains_hz"], 0.04, rng):
        for k in range(p["pulses"]):
            f0 = p["pitch_hz"] * (1 + 0.004 * rng.uniform(-1, 1)) * np.linspace(1.01, 0.99, m)
            pulse = dsp.harmonics(f0, np.array([1.0, 0.08]), rng) * np.hanning(m)
            dsp.place(out, pulse * (0.6 + 0.4 * k / p["pulses"]), start + dsp.seconds(k / p["pulses_hz"]))
    return out


@event(
    slope_db=Between(-2.5, 0.5),
    drops_hz=Between(60, 500, log=True),
    drop_tone_hz=Between(1500, 3500),
    drop_gain=Between(0.3, 0.9),
)
def rain(p: Params, n: int, rng: np.random.Generator) -> Array:
    """A bright, even hiss with many small drops in it."""
    drops = np.zeros(n)
    at = dsp.poisson(n, p["drops_hz"], rng)
    np.add.at(drops, at, rng.lognormal(0, 0.8, len(at)) * rng.choice([-1, 1], len(at)))
    drops = dsp.ring(drops, p["drop_tone_hz"], 0.0005)
    hiss = dsp.coloured(n, rng, p["slope_db"], 300, 12e3) * (1 + 0.1 * dsp.drift(n, rng, 1.0))
    return hiss + p["drop_gain"] * drops / np.sqrt(np.mean(drops**2))


@event(gusts_hz=Between(0.5, 1.4), whistle_hz=Between(260, 520, log=True), whistle=Between(0.5, 1.2))
def wind(p: Params, n: int, rng: np.random.Generator) -> Array:
    """Low noise through a whistling resonance that wanders with the gusts."""
    gust = 0.5 + 0.5 * dsp.drift(n, rng, p["gusts_hz"])
    low = dsp.coloured(n, rng, -6, 40, 500)
    whistle = np.zeros(n)
    noise = rng.standard_normal(n)
    bands = np.geomspace(p["whistle_hz"], 2.2 * p["whistle_hz"], 7)
    height = gust * (len(bands) - 1)
    for k, band in enumerate(bands):
        whistle += dsp.ring(noise, band, 0.008) * np.maximum(0, 1 - np.abs(height - k))
    whistle /= np.sqrt(np.mean(whistle**2)) + 1e-12
    return (0.15 + gust**1.5) * (low + p["whistle"] * whistle)


@event(period_s=Between(3.0, 6.0), phase=Between(0.0, 0.3), foam=Between(0.4, 1.0))
def sea_waves(p: Params, n: int, rng: np.random.Generator) -> Array:
    """Surges: a dull roar that brightens as it breaks, then hisses away."""
    phase = dsp.time(n) / p["period_s"] + p["phase"] + 0.1 * dsp.drift(n, rng, 0.5)
    u = phase % 1.0
    surge = np.where(u < 0.35, u / 0.35, np.exp(-(u - 0.35) / 0.22))
    roar = dsp.coloured(n, rng, -5, 60, 1500)
    foam = dsp.coloured(n, rng, -1, 900, 9e3)
    return (0.12 + surge) * roar + p["foam"] * surge**2.5 * foam


@event(
    pitch_hz=Between(600, 1500, log=True),
    rise=Between(0.25, 0.9),
    tau_s=Between(0.012, 0.035),
    period_s=Between(0.25, 0.7),
    spread=Between(0.1, 0.5),
    echo_s=Between(0.03, 0.09),
)
def water_drip(p: Params, n: int, rng: np.random.Generator) -> Array:
    """Single drops: a small click, then a bubble whose pitch rises while it dies."""
    out = np.zeros(n)
    m = dsp.seconds(0.25)
    for start in dsp.onsets(n, p["period_s"], p["spread"], rng):
        t = dsp.time(m)
        tau = p["tau_s"] * rng.uniform(0.8, 1.2)
        f = p["pitch_hz"] * rng.uniform(0.8, 1.25) * (1 + p["rise"] * np.minimum(t / (3 * tau), 1))
        bubble = np.sin(2 * np.pi * np.cumsum(f) / dsp.RATE) * dsp.decay(m, tau, 0.003)
        click = rng.standard_normal(m) * dsp.decay(m, 0.001, 0.0003)
        dsp.place(out, (bubble + 0.25 * click) * rng.uniform(0.6, 1), start)
        echo = dsp.seconds(p["echo_s"])
        dsp.place(out, 0.25 * bubble, start + echo)
        dsp.place(out, 0.10 * bubble, start + 2 * echo)
    return out


@event(snaps_hz=Between(9, 26), snap_s=Between(0.001, 0.004), flutter=Between(0.02, 0.08))
def fire_crackle(p: Params, n: int, rng: np.random.Generator) -> Array:
    """Irregular snaps of very different strength over a soft flutter."""
    snaps = np.zeros(n)
    m = dsp.seconds(0.02)
    for at in dsp.poisson(n, p["snaps_hz"], rng):
        snap = dsp.ring(rng.standard_normal(m) * dsp.decay(m, p["snap_s"], 0.0002), rng.uniform(900, 3500), 0.002)
        dsp.place(snaps, snap / np.abs(snap).max() * min(rng.pareto(1.8) + 0.2, 4.0), int(at))
    flutter = dsp.coloured(n, rng, -6, 40, 350) * (1 + 0.6 * dsp.drift(n, rng, 9.0))
    return snaps + p["flutter"] * flutter


@event(
    length_s=Between(2.0, 4.0),
    period_s=Between(2.5, 5.0),
    edge_hz=Between(120, 260),
    crack_s=Between(0.04, 0.15),
    crack=Between(0.5, 2.0),
)
def thunder(p: Params, n: int, rng: np.random.Generator) -> Array:
    """A crack, then rolls of low noise that get duller as they fade."""
    out = np.zeros(n)
    for start in dsp.onsets(n, p["period_s"], 0.2, rng):
        m = dsp.seconds(min(p["length_s"], p["period_s"]))
        t = dsp.time(m)
        rolls = np.exp(-t / (0.3 * p["length_s"])) * (0.45 + 0.55 * np.abs(dsp.drift(m, rng, 5.0)))
        rumble = dsp.coloured(m, rng, -7, 30, p["edge_hz"]) * rolls
        crack = dsp.coloured(m, rng, -3, 80, 4e3) * dsp.decay(m, p["crack_s"], 0.004)
        dsp.place(out, (rumble + p["crack"] * crack) * dsp.hold(m, 0.004, 0.3), start)
    return out


RECIPES = (dog_bark, bird_chirp, cricket, rain, wind, sea_waves, water_drip, fire_crackle, thunder)
