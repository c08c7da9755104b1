"""How the tiny separator does on sounds that it was not trained on, by the number of solver steps. Ours.

Speech and a sound; each mixture is asked for both, and recorded and generated sounds are measured apart. Mixtures are
at 0 dB and overlap throughout, or are *drawn* as those of the training. ``si_sdri_db``, ``stoi`` and, of speech,
``pesq_nb`` are against the truth, ``latent_error`` is the root mean square distance of the final latents from the true
ones (a channel's own deviation is 1), ``power_db`` is the power of the fine structure's latents over that of the true
ones (the mean of all stems that are possible has less than any of them), ``fidelity_si_sdr_db`` is against the solution
of most steps. ``ideal_mask_db`` tells how hard mixtures are: the improvement of SI-SDR by the Wiener mask that knows
both stems (short-time Fourier transform, 64 ms).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from otoscope.audio.mixing import Mix, fit, mix
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError
from otoscope.core.nouns import StemPrompt
from otoscope.models.bundled.separator_network import TinyNetwork
from otoscope.models.separators.flow import FlowSeparator
from otoscope.models.separators.sampling import Sampling
from otoscope.stats.bootstrap import cluster_bootstrap
from otoscope.tasks.separation.intelligibility import pesq_nb, stoi
from otoscope.tasks.separation.levels import Undefined, si_sdr_db
from otoscope.training.separation.mixtures import GENERATED, RECORDED, Array, Pool, draw_mix

STEPS = (1, 2, 4, 8, 16, 32, 64)
SECONDS = 2.0
#: The window of the ideal mask, and a quarter of it, in seconds.
WINDOW_S, HOP_S = 0.064, 0.016


@dataclass(frozen=True, eq=False)
class Case:
    """A mixture ``[n]`` asked for one of its stems. ``sound`` names the recording behind it: the unit of resampling."""

    origin: str
    kind: str
    text: str
    mixture: Array
    target: Array
    residual: Array
    sound: str
    seed: int


def cases(found: Pool, n: int, seed: int, *, drawn: bool = False) -> list[Case]:
    """``n`` mixtures of each origin, each asked for its speech and for its sound. Sounds take turns, so that each
    counts alike. ``drawn``: levels, overlap and order are drawn as for the training."""
    made: list[Case] = []
    for at, origin in enumerate((RECORDED, GENERATED)):
        voices = sorted(k for k in found.voices if k[0] == origin)
        sounds = [
            (name, i) for o, name in sorted(found.sounds) if o == origin for i in range(len(found.sounds[o, name]))
        ]
        rng = np.random.default_rng((seed, at))
        order = rng.permutation(len(sounds)).tolist()
        for k in range(n if voices and sounds else 0):
            name, i = sounds[order[k % len(order)]]
            made += _pair(found, rng, voices[k % len(voices)], (origin, name), i, 1000 * at + k, drawn)
    return made


def _pair(
    found: Pool,
    rng: np.random.Generator,
    voice: tuple[str, str, str],
    sound: tuple[str, str],
    i: int,
    seed: int,
    drawn: bool,
) -> list[Case]:
    spec = draw_mix(rng, SECONDS) if drawn else Mix(SECONDS, level_dbfs=-25.0)
    n = round(spec.slot_s * found.rate)
    own = found.voices[voice]
    speech = np.concatenate([own[j] for j in rng.permutation(len(own))])
    whole = fit(found.sounds[sound][i], max(n, len(found.sounds[sound][i])))
    start = int(rng.integers(len(whole) - n + 1))
    for begin in (start, 0):  # a stretch may be silent, the beginning is not
        try:
            stems = mix(spec, speech, whole[begin : begin + n], found.rate)
            break
        except InputError:
            continue
    label, (x, a, b) = f"{sound[1]}-{i}", (stems[k] for k in ("mixture", "target", "residual"))
    words = found.words
    return [
        Case(sound[0], "speech", words.voice(None), x, a, b, label, seed),
        Case(sound[0], "sound", sound[1], x, b, a, label, seed),
    ]


def measure(
    network: TinyNetwork, card: Any, sampling: Sampling, asked: Sequence[Case], steps: Sequence[int] = STEPS
) -> list[dict[str, Any]]:
    """A row per case and number of ``steps``, of each metric its value or None."""
    rows: list[dict[str, Any]] = []
    models = {
        s: FlowSeparator(card, network.flow, network.codec, network.words, replace(sampling, steps=s), {})
        for s in steps
    }
    for case in asked:
        rate = card.rate
        truth = network.codec.encode(torch.from_numpy(np.stack([case.target, case.residual])))
        wanted = torch.cat(list(truth), -1).numpy()
        stems = {
            s: m.separate([Audio(case.mixture[None], rate)], [StemPrompt(case.text)], [case.seed])[0]
            for s, m in models.items()
        }
        fine = np.tile(np.arange(wanted.shape[-1] // 2) >= network.codec.bands, 2)
        best = stems[max(steps)].target.samples[0]
        before = si_sdr_db(case.mixture, case.target)
        ideal = ideal_mask_db(case, rate) - before
        for s, found in stems.items():
            estimate = found.target.samples[0]
            assert found.latents is not None
            values = {
                "si_sdri_db": si_sdr_db(estimate, case.target) - before,
                "ideal_mask_db": ideal if s == max(steps) else None,
                "stoi": _or_none(stoi, estimate, case.target, rate),
                "pesq_nb": _or_none(pesq_nb, estimate, case.target, rate) if case.kind == "speech" else None,
                "latent_error": float(np.sqrt(np.square(found.latents - wanted).mean())),
                "power_db": 10
                * math.log10(
                    float(np.square(found.latents[:, fine]).mean()) / float(np.square(wanted[:, fine]).mean())
                ),
                "fidelity_si_sdr_db": None if s == max(steps) else si_sdr_db(estimate, best),
            }
            rows.append({"origin": case.origin, "kind": case.kind, "steps": s, "sound": case.sound, **values})
    return rows


def ideal_mask_db(case: Case, rate: int) -> float:
    """SI-SDR of the target by the Wiener mask that knows both stems."""
    window = torch.hann_window(round(WINDOW_S * rate))
    size, hop = len(window), round(HOP_S * rate)
    mixture, target, residual = (
        torch.stft(torch.from_numpy(x), size, hop, window=window, return_complex=True)
        for x in (case.mixture, case.target, case.residual)
    )
    powers = target.abs().square(), residual.abs().square()
    mask = powers[0] / (powers[0] + powers[1]).clamp_min(1e-12)
    found = torch.istft(mixture * mask, size, hop, window=window, length=len(case.target))
    return si_sdr_db(found.numpy(), case.target)


def curves(rows: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> dict[str, Any]:
    """origin -> kind -> metric -> steps -> [mean, low, high, n]; 95 % over sounds."""
    found: dict[str, Any] = {}
    for origin in dict.fromkeys(r["origin"] for r in rows):
        for kind in dict.fromkeys(r["kind"] for r in rows):
            for metric in metrics:
                for s in dict.fromkeys(r["steps"] for r in rows):
                    here = [r for r in rows if (r["origin"], r["kind"], r["steps"]) == (origin, kind, s)]
                    valued = [r for r in here if r[metric] is not None]
                    if not valued:
                        continue
                    groups = [r["sound"] for r in valued]
                    i = cluster_bootstrap([r[metric] for r in valued], groups, seed=1)
                    ends = [None if math.isnan(x) else round(x, 4) for x in (i.value, i.low, i.high)]
                    found.setdefault(origin, {}).setdefault(kind, {}).setdefault(metric, {})[str(s)] = [*ends, i.n]
    return found


def _or_none(metric: Any, estimate: Array, target: Array, rate: int) -> float | None:
    try:
        return float(metric(estimate, target, rate))
    except Undefined:
        return None
