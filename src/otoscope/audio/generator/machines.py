"""Event classes of machines, signals and people's doings. Ours; built to be told apart, not to deceive the ear."""

from __future__ import annotations

import numpy as np

from otoscope.audio.generator import dsp
from otoscope.audio.generator.recipe import Among, Array, Between, Params, Whole, event


@event(
    pattern=Among(("wail", "yelp", "two_tone")),
    low_hz=Between(420, 650),
    span=Between(1.5, 2.2),
    cycle_s=Between(2.0, 4.5),
    phase=Between(0, 1),
    dullness=Between(0.6, 1.2),
    horn_hz=Between(900, 1600),
)
def siren(p: Params, n: int, rng: np.random.Generator) -> Array:
    """A bright tone that wails, yelps or steps between two pitches."""
    t = dsp.time(n)
    if p["pattern"] == "wail":
        u = 0.5 - 0.5 * np.cos(2 * np.pi * (t / p["cycle_s"] + p["phase"]))
    elif p["pattern"] == "yelp":
        u = (10 * t / p["cycle_s"] + p["phase"]) % 1.0
        u = np.where(u < 0.8, u / 0.8, (1 - u) / 0.2)
    else:
        u = np.tanh(12 * np.sin(2 * np.pi * (t / (0.4 * p["cycle_s"]) + p["phase"]))) * 0.5 + 0.5
    f0 = p["low_hz"] * p["span"] ** u * (1 + 0.002 * dsp.drift(n, rng, 3.0))
    tone = dsp.harmonics(f0, np.arange(1, 13) ** -p["dullness"], rng)
    return dsp.shaped(tone, lambda f: dsp.peaks(f, [(p["horn_hz"], 900, 1.0)], 0.25))


@event(
    pitch_hz=Between(800, 2400, log=True),
    beeps=Whole(1, 4),
    beeps_hz=Between(3.0, 8.0),
    duty=Between(0.45, 0.7),
    pause_s=Between(0.0, 0.6),
)
def alarm_beep(p: Params, n: int, rng: np.random.Generator) -> Array:
    """A hollow tone of one pitch, cut into groups of beeps."""
    out = np.zeros(n)
    m = dsp.seconds(p["duty"] / p["beeps_hz"])
    amplitudes = np.where(np.arange(1, 10) % 2, 1 / np.arange(1, 10), 0.0)
    beep = dsp.harmonics(np.full(m, p["pitch_hz"]), amplitudes, rng) * dsp.hold(m, 0.002, 0.004)
    for start in dsp.onsets(n, p["beeps"] / p["beeps_hz"] + p["pause_s"], 0.0, rng):
        for k in range(p["beeps"]):
            dsp.place(out, beep, start + dsp.seconds(k / p["beeps_hz"]))
    return out


@event(pitch_hz=Between(220, 480, log=True), tau_s=Between(1.2, 2.5), period_s=Between(1.1, 2.4))
def church_bell(p: Params, n: int, rng: np.random.Generator) -> Array:
    """Heavy strokes on a bell with a minor third, hum and prime."""
    ratios = np.array([0.5, 1.0, 1.2, 1.5, 2.0, 2.51, 2.66, 3.01, 4.1, 5.4])
    ratios = ratios * (1 + 0.008 * rng.uniform(-1, 1, len(ratios)))
    gains = np.array([0.5, 0.7, 0.8, 0.35, 1.0, 0.4, 0.4, 0.5, 0.35, 0.25]) * rng.uniform(0.7, 1.3, len(ratios))
    taus = p["tau_s"] / (0.4 + 0.6 * ratios)
    out = np.zeros(n)
    for start in dsp.onsets(n, p["period_s"], 0.03, rng):
        stroke = dsp.partials(p["pitch_hz"] * ratios, gains * rng.uniform(0.85, 1.15, len(ratios)), taus, n - start)
        m = min(len(stroke), dsp.seconds(0.03))
        stroke[:m] += 0.8 * dsp.coloured(m, rng, -3, 200, 5e3) * dsp.decay(m, 0.005)
        dsp.place(out, stroke, start)
    return out


@event(
    firing_hz=Between(28, 75, log=True),
    wander=Between(0.02, 0.12),
    dullness=Between(0.6, 1.1),
    uneven=Between(0.2, 0.8),
    body_hz=Between(90, 220),
    noise=Between(0.2, 0.6),
)
def engine(p: Params, n: int, rng: np.random.Generator) -> Array:
    """An idling motor: a dense low harmonic series whose speed wanders, and its exhaust noise."""
    f0 = p["firing_hz"] * (1 + p["wander"] * dsp.drift(n, rng, 0.8) + 0.01 * dsp.drift(n, rng, 12.0))
    count = 60
    half = 0.5 * f0  # unequal cylinders repeat only every second firing
    amplitudes = np.arange(1, count + 1) ** -p["dullness"] * np.where(np.arange(1, count + 1) % 2, p["uneven"], 1.0)
    tone = dsp.harmonics(half, amplitudes, rng, 3e3)
    beat = 0.6 + 0.4 * np.cos(2 * np.pi * np.cumsum(f0) / dsp.RATE)
    noise = dsp.coloured(n, rng, -5, 80, 3e3) * beat
    body = [(p["body_hz"], 90, 1.0), (3.1 * p["body_hz"], 200, 0.5)]
    tone = dsp.shaped(tone, lambda f: dsp.peaks(f, body, 0.15))
    return tone / np.sqrt(np.mean(tone**2)) + p["noise"] * noise


@event(
    blades_hz=Between(9, 18),
    edge_hz=Between(200, 450),
    swish=Between(0.25, 0.6),
    turbine_hz=Between(500, 1300),
    turbine=Between(0.03, 0.12),
)
def helicopter(p: Params, n: int, rng: np.random.Generator) -> Array:
    """Blade slaps: noise in slow strong pulses, with a thin turbine tone above."""
    phase = np.cumsum(p["blades_hz"] * (1 + 0.02 * dsp.drift(n, rng, 0.7))) / dsp.RATE
    u = phase % 1.0
    slap = np.exp(-u / 0.16) * np.minimum(u / 0.03, 1.0)
    low = dsp.coloured(n, rng, -5, 40, p["edge_hz"]) * slap
    swish = dsp.coloured(n, rng, -2, 500, 4e3) * (0.15 + slap)
    whine = dsp.harmonics(p["turbine_hz"] * (1 + 0.004 * dsp.drift(n, rng, 1.5)), np.array([1, 0.5, 0.3]), rng)
    return low + p["swish"] * swish + p["turbine"] * whine


def _struck(m: int, modes: Array, tau_s: float, hardness_hz: float, rng: np.random.Generator) -> Array:
    """A blow on something stiff: a low-passed burst plus short modes, peak 1."""
    blow = dsp.coloured(m, rng, -4, 60, hardness_hz) * dsp.decay(m, 0.004, 0.0004)
    body = dsp.partials(modes, 0.8 ** np.arange(len(modes)), tau_s / (1 + 0.35 * np.arange(len(modes))), m)
    x = 0.6 * blow / np.abs(blow).max() + body / np.abs(body).max()
    return x / np.abs(x).max()


@event(
    door_hz=Between(180, 420, log=True),
    raps=Whole(2, 5),
    gap_s=Between(0.13, 0.26),
    pause_s=Between(0.3, 0.9),
    tau_s=Between(0.02, 0.05),
)
def knock(p: Params, n: int, rng: np.random.Generator) -> Array:
    """Quick groups of raps on wood."""
    out = np.zeros(n)
    modes = p["door_hz"] * np.array([1.0, 1.62, 2.41, 3.3, 4.6])
    for start in dsp.onsets(n, p["raps"] * p["gap_s"] + p["pause_s"], 0.15, rng):
        for k in range(p["raps"]):
            rap = _struck(dsp.seconds(0.25), modes * rng.uniform(0.98, 1.02), p["tau_s"], 2500, rng)
            dsp.place(out, rap * rng.uniform(0.7, 1), start + dsp.seconds(k * p["gap_s"] * rng.uniform(0.95, 1.05)))
    return out


@event(
    steps_hz=Between(1.6, 2.5),
    ground=Among(("boards", "stone", "gravel")),
    heel_hz=Between(90, 190),
    left=Between(0.82, 0.95),
    sole=Between(0.25, 0.6),
    roll_s=Between(0.08, 0.14),
)
def footsteps(p: Params, n: int, rng: np.random.Generator) -> Array:
    """An even walk: heel, then the rougher sole, left and right a little different."""
    out = np.zeros(n)
    edges = {"boards": (150.0, 1500.0), "stone": (500.0, 4500.0), "gravel": (1200.0, 6500.0)}[p["ground"]]
    for k, start in enumerate(dsp.onsets(n, 1 / p["steps_hz"], 0.06, rng)):
        side = 1.0 if k % 2 else p["left"]
        m = dsp.seconds(0.14)
        modes = p["heel_hz"] * side * np.array([1.0, 1.9, 3.1])
        dsp.place(out, _struck(m, modes, 0.022, edges[1], rng) * rng.uniform(0.75, 1), start)
        sole = dsp.coloured(m, rng, -2, *edges) * np.hanning(m) ** 2
        if p["ground"] == "gravel":
            sole *= rng.random(m) ** 4
        sole *= p["sole"] * side / np.abs(sole).max()
        dsp.place(out, sole, start + dsp.seconds(p["roll_s"]))
    return out


@event(
    pitch_hz=Between(1500, 2600),
    tock=Between(0.72, 0.93),
    ticks_hz=Between(2.0, 5.0),
    tau_s=Between(0.003, 0.008),
    lag_s=Between(0.012, 0.03),
)
def clock_tick(p: Params, n: int, rng: np.random.Generator) -> Array:
    """Dry high clicks in strict time, tick and tock of two pitches."""
    out = np.zeros(n)
    m = dsp.seconds(0.06)
    for k, start in enumerate(dsp.onsets(n, 1 / p["ticks_hz"], 0.004, rng)):
        pitch = p["pitch_hz"] * (1.0 if k % 2 else p["tock"])
        modes = pitch * np.array([1.0, 1.47, 2.09, 2.8])
        tick = dsp.partials(modes, [1, 0.7, 0.5, 0.3], np.full(4, p["tau_s"]), m)
        tick += 0.3 * rng.standard_normal(m) * dsp.decay(m, 0.0015, 0.0002)
        dsp.place(out, tick * rng.uniform(0.92, 1), start)
        dsp.place(out, 0.4 * tick, start + dsp.seconds(p["lag_s"]))
    return out


@event(motor_hz=Between(190, 380), tube_hz=Between(450, 900), tone=Between(0.5, 1.1))
def vacuum_cleaner(p: Params, n: int, rng: np.random.Generator) -> Array:
    """A steady high motor tone in broad suction noise."""
    f0 = p["motor_hz"] * (1 + 0.006 * dsp.drift(n, rng, 1.2) + 0.04 * np.exp(-dsp.time(n) / 0.15) * -1)
    tone = dsp.harmonics(f0, np.array([1, 0.6, 0.8, 0.3, 0.4, 0.2, 0.15]), rng)
    noise = dsp.coloured(n, rng, -2.5, 150, 7e3)
    noise = dsp.shaped(noise, lambda f: dsp.peaks(f, [(p["tube_hz"], 300, 1.0), (2.7 * p["tube_hz"], 600, 0.6)], 0.3))
    return p["tone"] * tone / np.sqrt(np.mean(tone**2)) + noise / np.sqrt(np.mean(noise**2))


RECIPES = (siren, alarm_beep, church_bell, engine, helicopter, knock, footsteps, clock_tick, vacuum_cleaner)
