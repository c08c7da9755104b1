"""Rows that every answer of an audio language model gives, whatever was asked: what it cost, and what changed."""

from __future__ import annotations

import math

from otoscope.core.nouns import Answered, Row
from otoscope.results.scoring import Measure, Quantile

#: Phases of an answer, as models report them.
PHASES = ("features", "encoder", "prefill", "decode")
#: Phases whose memory is told: reading and resampling the files comes before the model's.
LOAD = "load"
#: Measured seconds, with what they are of.
SECONDS = {
    "seconds_load": "reading and resampling the sounds",
    **{f"seconds_{p}": p for p in PHASES},
    "seconds_first_token": "the first token: audio encoder and prefill",
    "seconds_per_token": "a token after the first",
    "seconds_request": "a request to an endpoint, retries and pauses included",
}
#: Peak memory of each phase.
PEAKS = tuple(f"peak_bytes_{p}" for p in (LOAD, *PHASES))
#: Measured rows: they differ from run to run.
MEASURED = (*SECONDS, "peak_bytes", *PEAKS, "real_time_factor")


def cost_rows(output: Answered) -> list[Row]:
    """Seconds by phase, tokens, peak memory, and what the intervention says it did."""
    reply = output.reply
    rows = [] if output.load_s is None else [Row("seconds_load", float(output.load_s))]
    rows += [Row(f"seconds_{p}", float(reply.seconds[p])) for p in PHASES if p in reply.seconds]
    for name, value in (("seconds_first_token", reply.first_token_s), ("seconds_per_token", reply.per_token_s)):
        if value is not None:
            rows.append(Row(name, float(value)))
    if reply.peak_bytes:
        rows.append(Row("peak_bytes", float(max(reply.peak_bytes.values()))))
    peaks = {LOAD: output.load_peak_bytes, **reply.peak_bytes}
    rows += [Row(f"peak_bytes_{p}", float(n)) for p in (LOAD, *PHASES) if (n := peaks.get(p)) is not None]
    if "request" in reply.seconds:
        rows.append(Row("seconds_request", float(reply.seconds["request"])))
    if output.heard_s and reply.seconds:
        rows.append(Row("real_time_factor", sum(reply.seconds.values()) / output.heard_s))
    rows += [Row("audio_tokens", float(reply.tokens.audio)), Row("output_tokens", float(reply.tokens.output))]
    taken = {r.metric for r in rows}
    for name, value in sorted(output.done.items()):
        if name not in taken and math.isfinite(value):
            rows.append(Row(name, float(value)))
    if output.bare is not None:
        rows.append(Row("same_answer", float(output.reply.text.strip() == output.bare.text.strip())))
    return rows


def cost_measures() -> list[Measure]:
    """Medians and 90th percentiles of measured times, medians of measured memory, means of the rest."""
    timed = {**{name: f"seconds of {what}" for name, what in SECONDS.items()}, "real_time_factor": _REAL_TIME}
    return [
        *(_typical(name, doc) for name, doc in timed.items()),
        *(
            Measure(f"{name}_p90", (), (name,), Quantile(0.9), unit=_unit(name), higher_is_better=False,
                    doc=f"90th percentile of the same ({doc})")
            for name, doc in timed.items()
        ),
        Measure("peak_bytes", (), ("peak_bytes",), "median", unit="B", higher_is_better=False,
                doc="the highest of the peaks of the model's phases"),
        *(
            Measure(name, (), (name,), "median", unit="B", higher_is_better=False,
                    doc=f"peak memory of the phase {name.removeprefix('peak_bytes_')}")
            for name in PEAKS
        ),
        Measure("audio_tokens", (), ("audio_tokens",), "mean", doc="tokens that stand for sound"),
        Measure("output_tokens", (), ("output_tokens",), "mean", doc="tokens of the answer"),
        Measure("kept_audio_share", (), ("kept_audio_share",), "mean", doc="share of audio tokens that were kept"),
        Measure("routed_right", (), ("routed_right",), "mean", higher_is_better=True,
                doc="share of items whose nearest profile is that of the task's family (headrouter)"),
        Measure("alpha_of_family", (), ("alpha_of_family",), "mean", higher_is_better=True,
                doc="weight of that profile (headrouter)"),
        Measure("far_away", (), ("far_away",), "mean", higher_is_better=False,
                doc="share of items that no profile is near to (headrouter)"),
        Measure("knocked_heads", (), ("knocked_heads",), "mean", doc="heads that were knocked out (knock-heads)"),
        Measure("kept_cache_share", (), ("kept_cache_share",), "mean",
                doc="share of the cache's tokens that were kept"),
        Measure("kept_cache_audio_share", (), ("kept_cache_audio_share",), "mean",
                doc="share of the cache's audio tokens that were kept"),
        Measure("cache_bytes_before", (), ("cache_bytes_before",), "mean", unit="B", higher_is_better=False,
                doc="keys and values of the prompt before the eviction"),
        Measure("cache_bytes_after", (), ("cache_bytes_after",), "mean", unit="B", higher_is_better=False,
                doc="keys and values of the prompt after the eviction"),
        Measure("cache_bytes", (), ("cache_bytes",), "mean", unit="B", higher_is_better=False,
                doc="keys and values in the end"),
        Measure("same_answer", (), ("same_answer",), "mean", doc="share of answers equal to the unmodified model's"),
    ]  # fmt: skip


_REAL_TIME = "seconds of the model's phases per second of sound"


def _typical(name: str, doc: str) -> Measure:
    return Measure(name, (), (name,), "median", unit=_unit(name), higher_is_better=False, doc=f"median {doc}")


def _unit(name: str) -> str:
    return "s" if name.startswith("seconds") else ""
