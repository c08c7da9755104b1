"""Asking audio language models: one prompt at a time, beside what the unmodified model answers.

Prompts are not batched: padding changes the answers of some models, and the seconds, bytes and what an intervention
reports belong to one item only where it is alone. Unmodified answers are kept and found again as unmodified stems are
(see :mod:`otoscope.experiments.ask_separate`), with the cost that they had.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otoscope.core import clock
from otoscope.core.errors import InputError, ModelError
from otoscope.core.identity import digest
from otoscope.core.nouns import Answered, Generate, InterventionReport, Prompt, Reply, TokenCounts, Traced
from otoscope.experiments.ask_separate import Arrays, Outputs, shown_key, timing_key
from otoscope.experiments.bench import Asked, Bench, Broken
from otoscope.experiments.unmodified import of_item, unmodified
from otoscope.interventions.none import NoIntervention

#: What of a reply depends on the clock or on the machine.
_MEASURED = ("seconds", "peak_bytes")


def bare_replies(bench: Bench, chunk: Sequence[Asked], outputs: Outputs) -> dict[str, Reply | Broken]:
    """By item, the unmodified answers of those that want them (see :func:`unmodified`)."""
    return unmodified(bench, chunk, Generate, lambda asked, request: _bare(bench.model, asked, request, outputs))


def _bare(model: Any, asked: Asked, request: Generate, outputs: Outputs) -> Reply:
    key = output_key(model, prompt_of(asked, request, model), request.max_new_tokens)
    kept, timed = outputs.output(key), outputs.output(timing_key(key))
    if kept is not None and timed is not None:
        return reply_of(kept, timed)
    reply = generate_one(model, asked, request)
    keep_reply(reply, key, outputs)
    return reply


def answered(
    bench: Bench,
    asked: Asked,
    report: InterventionReport | None,
    bare: Mapping[str, Reply | Broken],
    outputs: Outputs,
    shown: bool = False,
) -> tuple[Answered, float, str | None]:
    """What the task gets for one item, the seconds of the model's own call, and the name under which its answer was
    kept (None: it was not). Of an item to be ``shown``, what the intervention did to it is kept instead. To be called
    inside the intervention."""
    request = asked.request
    assert isinstance(request, Generate)
    found = of_item(bare, asked.item.id, bench.model)
    if report is not None:
        report.drain()  # what an item that failed midway left behind is not this item's
    start = time.perf_counter()
    reply = generate_one(bench.model, asked, request)
    seconds = time.perf_counter() - start
    kept: str | None = None
    if shown and isinstance(report, Traced) and (trace := report.trace()):
        kept = outputs.keep_output(shown_key(bench, output_key_of(bench, asked)), trace)
    done = dict(report.drain()) if report is not None else {}
    if bench.repeats > 1:
        reply = _repeated(bench, asked, request, reply, report)
    if isinstance(bench.intervention, NoIntervention):
        found = reply
        if (per_token := getattr(bench.model, "cache_bytes_per_token", None)) is not None:
            done["cache_bytes"] = float(per_token * (reply.tokens.prompt + reply.steps))
        if request.against_bare:
            kept = keep_reply(reply, output_key_of(bench, asked), outputs)
    heard = sum(asked.signals[name].duration_s for name in request.inputs)
    loaded = (asked.seconds_render, asked.peak_render) if request.inputs and heard else (None, None)
    return Answered(reply, found, done, heard or None, *loaded), seconds, kept


def _repeated(bench: Bench, asked: Asked, request: Generate, first: Reply, report: InterventionReport | None) -> Reply:
    """The same answer with the medians of its seconds, and the highest of its peaks, over all times that it is asked.
    Raises :class:`ModelError` where the answer isn't the same every time."""
    found = [first]
    for _ in range(bench.repeats - 1):
        found.append(generate_one(bench.model, asked, request))
        if report is not None:
            report.drain()
    if any((r.text, r.token_ids) != (first.text, first.token_ids) for r in found):
        raise ModelError(f"answers differently when it is asked {bench.repeats} times", where=bench.model.card.name)
    phases, peaks = (
        dict.fromkeys(p for r in found for p in r.seconds),
        dict.fromkeys(p for r in found for p in r.peak_bytes),
    )
    seconds = {p: median(r.seconds[p] for r in found if p in r.seconds) for p in phases}
    return replace(first, seconds=seconds, peak_bytes={p: max(r.peak_bytes.get(p, 0) for r in found) for p in peaks})


def prompt_of(asked: Asked, request: Generate, model: Any) -> Prompt:
    """The request with its sounds; their channels are averaged where the model hears one."""
    heard = [asked.signals[name] for name in request.inputs]
    if model.card.channels == 1:
        heard = [sound.mono() for sound in heard]
    return Prompt(request.text, tuple(heard), request.system)


def generate_one(model: Any, asked: Asked, request: Generate) -> Reply:
    """The answer to one prompt. Raises :class:`ModelError` where there is not exactly one."""
    with clock.at(family=request.family):
        found = model.generate([prompt_of(asked, request, model)], request.max_new_tokens)
    if len(found) != 1 or not isinstance(found[0], Reply):
        raise ModelError(f"gave {len(found)} answers to one prompt", where=model.card.name)
    return found[0]


# --- what is kept -----------------------------------------------------------------------------------------------


def output_key(model: Any, prompt: Prompt, max_new_tokens: int) -> str:
    """Digest of all that an unmodified answer depends on."""
    return digest(
        {
            "model": model.identity(),
            "audio": [sound.digest() for sound in prompt.audio],
            "text": prompt.text,
            "system": prompt.system,
            "max_new_tokens": max_new_tokens,
        }
    )


def output_key_of(bench: Bench, asked: Asked) -> str:
    """:func:`output_key` of an item's prompt."""
    assert isinstance(asked.request, Generate)
    return output_key(bench.model, prompt_of(asked, asked.request, bench.model), asked.request.max_new_tokens)


def keep_reply(reply: Reply, key: str, outputs: Outputs) -> str:
    """Keep an unmodified answer, and apart from it, since equal answers are to be equal files, what was measured."""
    plain = asdict(reply)
    measured = {name: plain.pop(name) for name in _MEASURED}
    outputs.keep_output(timing_key(key), {"measured": _packed(measured)})
    return outputs.keep_output(key, {"reply": _packed(plain)})


def reply_of(kept: Arrays, timed: Arrays) -> Reply:
    """The inverse of :func:`keep_reply`. Raises :class:`InputError` where it is no answer."""
    try:
        plain = _unpacked(kept["reply"])
        plain["tokens"] = TokenCounts(**plain["tokens"])
        plain["token_ids"] = tuple(plain["token_ids"])
        plain["spans"] = tuple((int(a), int(b)) for a, b in plain["spans"])
        return replace(Reply(**plain), **_unpacked(timed["measured"]))
    except (KeyError, TypeError, ValueError) as e:
        raise InputError(f"a kept answer cannot be read: {type(e).__name__}: {e}") from e


def _packed(data: Mapping[str, Any]) -> NDArray[np.uint8]:
    text = json.dumps(data, ensure_ascii=False, sort_keys=True)
    return np.frombuffer(text.encode("utf-8", "surrogatepass"), dtype=np.uint8)


def _unpacked(data: NDArray[Any]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(data.astype(np.uint8).tobytes().decode("utf-8", "surrogatepass"))
    return found
