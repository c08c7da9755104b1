"""From stems to rows: quality against the truth, fidelity to the unmodified model, and what was saved."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError
from otoscope.core.nouns import Row, Separated
from otoscope.tasks.separation.intelligibility import PESQ_RATE, pesq, pesq_nb, stoi
from otoscope.tasks.separation.levels import Undefined, bss_eval_db, si_sdr_db, si_snr_db


@dataclass(frozen=True)
class Metric:
    """A metric of the task; the unit is in the name where it has one."""

    name: str
    doc: str
    unit: str = ""
    higher_is_better: bool | None = True


METRICS = (
    Metric("si_sdr_db", "scale-invariant signal-to-distortion ratio of the target", "dB"),
    Metric("si_sdri_db", "si_sdr_db less that of the mixture", "dB"),
    Metric("si_snr_db", "si_sdr_db after the means are removed", "dB"),
    Metric("sdr_db", "BSS Eval: target (filtered) against everything else", "dB"),
    Metric("sir_db", "BSS Eval: target against what leaked in of the rest", "dB"),
    Metric("sar_db", "BSS Eval: target and rest against artefacts", "dB"),
    Metric("stoi", "short-time objective intelligibility of the target (of sounds: a correlation of envelopes)"),
    Metric("pesq", "wide-band PESQ of the target, speech alone; undefined where pesq is not installed"),
    Metric("pesq_nb", "narrow-band PESQ instead, where the model's rate is below 16 kHz"),
    Metric("latent_cosine", "cosine of the final latents with those of the unmodified model; 1 where nothing acted"),
    Metric("fidelity_si_sdr_db", "si_sdr_db against the unmodified output; undefined where they are equal", "dB"),
    Metric("fidelity_stoi", "stoi against the unmodified output"),
    Metric("evaluations", "calls of the network", higher_is_better=False),
    Metric("saved_self_attention", "share of self-attention's operations, projections too, that was left out"),
    Metric("saved_attention_maps", "share of self-attention maps that were not computed"),
    Metric("saved_flops", "share of all operations of the network that was left out"),
    Metric("saved_seconds", "share of the unmodified model's seconds, measured on the item (0 where nothing acted)"),
)
#: What an intervention may say it saved, as shares; without an intervention nothing was.
SAVED = ("saved_self_attention", "saved_attention_maps", "saved_flops")


def separation_rows(output: Separated, *, speech: bool) -> list[Row]:
    """Rows of one item. ``speech``: the target is speech, so PESQ applies. What the intervention reports is taken over
    under its own names. Raises :class:`InputError` where such a name is taken."""
    rate = output.stems.target.rate
    estimate = _mono(output.stems.target)
    target, rest, mixture = (_mono(output.signals[n]) for n in ("target", "residual", "mixture"))
    rows = [
        _row("si_sdr_db", lambda: si_sdr_db(estimate, target)),
        _row("si_sdri_db", lambda: si_sdr_db(estimate, target) - si_sdr_db(mixture, target)),
        _row("si_snr_db", lambda: si_snr_db(estimate, target)),
        *_bss_rows(estimate, target, rest),
        _row("stoi", lambda: stoi(estimate, target, rate)),
    ]
    if speech:
        name, measured = ("pesq", pesq) if rate >= PESQ_RATE else ("pesq_nb", pesq_nb)
        rows.append(_row(name, lambda: measured(estimate, target, rate)))
    if output.bare is not None:
        rows += _fidelity_rows(output, estimate, rate)
    rows.append(Row("evaluations", float(output.stems.evaluations)))
    if output.seconds is not None and output.bare_seconds:
        same = output.bare is output.stems
        rows.append(Row("saved_seconds", 0.0 if same else 1 - output.seconds / output.bare_seconds))
    return rows + _done_rows(output, {r.metric for r in rows})


def _bss_rows(estimate: NDArray[np.float32], target: NDArray[np.float32], rest: NDArray[np.float32]) -> list[Row]:
    names = ("sdr_db", "sir_db", "sar_db")
    try:
        found = bss_eval_db(estimate, target, rest)
    except Undefined as why:
        return [Row(name, None, status="undefined", note=str(why)) for name in names]
    return [Row(name, found[name]) for name in names]


def _fidelity_rows(output: Separated, estimate: NDArray[np.float32], rate: int) -> list[Row]:
    assert output.bare is not None
    same = output.bare is output.stems
    bare = _mono(output.bare.target)

    def ratio() -> float:
        if same:
            raise Undefined("nothing intervened: the output would be compared with itself")
        if np.array_equal(estimate, bare):
            raise Undefined("infinite: equal to the unmodified output")
        return si_sdr_db(estimate, bare)

    return [
        _row("latent_cosine", lambda: 1.0 if same and output.stems.latents is not None else _latent_cosine(output)),
        _row("fidelity_si_sdr_db", ratio),
        _row("fidelity_stoi", lambda: stoi(estimate, bare, rate)),
    ]


def _latent_cosine(output: Separated) -> float:
    """Cosine of the final states ``[T, C]``, flattened, so that loud frames count more."""
    assert output.bare is not None
    if output.stems.latents is None or output.bare.latents is None:
        raise Undefined("the model has no latents")
    a, b = (x.astype(np.float64).ravel() for x in (output.stems.latents, output.bare.latents))
    if a.shape != b.shape:
        raise Undefined(f"the latents differ in size: {a.size} and {b.size}")
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    if norm == 0.0:
        raise Undefined("the latents are zero")
    return float(np.clip(a @ b / norm, -1.0, 1.0))


def _done_rows(output: Separated, taken: set[str]) -> list[Row]:
    done = dict(output.done)
    if output.bare is output.stems:
        done = dict.fromkeys(SAVED, 0.0) | done
    if clash := sorted(taken & set(done)):
        raise InputError(f"the intervention reports {clash[0]!r}, which is a metric of the task")
    rows = []
    for name, value in sorted(done.items()):
        finite = math.isfinite(value)
        note = None if finite else f"the intervention reports {value}"
        rows.append(Row(name, float(value) if finite else None, status="ok" if finite else "undefined", note=note))
    return rows


def _row(metric: str, compute: Callable[[], float]) -> Row:
    try:
        return Row(metric, compute())
    except Undefined as why:
        return Row(metric, None, status="undefined", note=str(why))


def _mono(audio: Audio) -> NDArray[np.float32]:
    if audio.channels != 1:
        raise InputError(f"these metrics are of one channel, the sound has {audio.channels}")
    return audio.samples[0]
