"""Asking separators: one mixture at a time, beside what the unmodified model makes of it.

The unmodified output of a mixture is a pure function of the model, the mixture, the prompt and the noise seed. Under
that key it is kept in the run directory, by the cell of the empty intervention or by the first cell that needs it, and
every other cell of the same model takes it from there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError
from otoscope.core.identity import digest
from otoscope.core.nouns import InterventionReport, Separate, Separated, Stems
from otoscope.experiments.bench import Asked, Bench, Broken
from otoscope.experiments.unmodified import of_item, unmodified

Arrays = Mapping[str, NDArray[Any]]


class Outputs(Protocol):
    """Where unmodified outputs are kept: a run directory, or memory."""

    def output(self, key: str) -> Arrays | None: ...

    def keep_output(self, key: str, arrays: Arrays) -> str: ...


class InMemory:
    """Outputs of a trial that writes nothing."""

    def __init__(self) -> None:
        self._kept: dict[str, Arrays] = {}

    def output(self, key: str) -> Arrays | None:
        return self._kept.get(key)

    def keep_output(self, key: str, arrays: Arrays) -> str:
        self._kept[key] = arrays
        return key

    @property
    def nbytes(self) -> int:
        return sum(a.nbytes for arrays in self._kept.values() for a in arrays.values())


@dataclass(frozen=True, eq=False)
class Bare:
    """What the unmodified model made of a mixture, and the seconds that it took."""

    stems: Stems
    seconds: float


def bare_stems(bench: Bench, chunk: Sequence[Asked], outputs: Outputs) -> dict[str, Bare | Broken]:
    """By item, the unmodified stems of those that want them (see :func:`unmodified`)."""
    return unmodified(bench, chunk, Separate, lambda asked, request: _bare(bench.model, asked, request, outputs))


def _bare(model: Any, asked: Asked, request: Separate, outputs: Outputs) -> Bare:
    key = output_key(model, asked.signals[request.mixture], request)
    kept, timed = outputs.output(key), outputs.output(timing_key(key))
    if kept is not None and timed is not None:
        return Bare(stems_of(kept), float(timed["seconds"][0]))
    start = time.perf_counter()
    stems = separate_one(model, asked.signals[request.mixture], request)
    made = Bare(stems, time.perf_counter() - start)
    _keep(made, key, outputs)
    return made


def _keep(bare: Bare, key: str, outputs: Outputs) -> str:
    """Keep an unmodified output, and apart from it, since equal outputs are to be equal files, its seconds."""
    outputs.keep_output(timing_key(key), {"seconds": np.array([bare.seconds])})
    return outputs.keep_output(key, arrays_of(bare.stems))


def separated(
    bench: Bench,
    asked: Asked,
    report: InterventionReport | None,
    bare: Mapping[str, Bare | Broken],
    outputs: Outputs,
    shown: bool = False,
) -> tuple[Separated, float, str | None]:
    """What the task gets for one item, the seconds of the model's own call, and the name under which its output was
    kept (None: it was not). Of an item to be ``shown``, also an output under an intervention is kept. To be called
    inside the intervention."""
    request = asked.request
    assert isinstance(request, Separate)
    mixture = asked.signals[request.mixture]
    found = of_item(bare, asked.item.id, bench.model)
    if report is not None:
        report.drain()  # what an item that failed midway left behind is not this item's
    start = time.perf_counter()
    stems = separate_one(bench.model, mixture, request)
    seconds = time.perf_counter() - start
    done = dict(report.drain()) if report is not None else {}
    kept: str | None = None
    if request.against_bare and found is None:  # nothing intervenes: this is the unmodified output
        found = Bare(stems, seconds)
        kept = _keep(found, output_key(bench.model, mixture, request), outputs)
    elif shown:
        kept = outputs.keep_output(shown_key(bench, output_key(bench.model, mixture, request)), arrays_of(stems))
    if found is None:
        return Separated(stems, asked.signals, None, done, seconds), seconds, kept
    return Separated(stems, asked.signals, found.stems, done, seconds, found.seconds), seconds, kept


def separate_one(model: Any, mixture: Audio, request: Separate) -> Stems:
    """The stems of one mixture. Raises :class:`ModelError` where they are not of the mixture's shape."""
    found = model.separate([mixture], [request.prompt], [request.noise_seed])
    if len(found) != 1:
        raise ModelError(f"gave {len(found)} results for one mixture", where=model.card.name)
    stems: Stems = found[0]
    for name, stem in (("target", stems.target), ("residual", stems.residual)):
        if (stem.rate, stem.samples.shape) != (mixture.rate, mixture.samples.shape):
            raise ModelError(
                f"gave a {name} of {stem} for a mixture of {mixture}",
                where=model.card.name,
                fix="Stems have the mixture's rate, channels and length.",
            )
    return stems


# --- what is kept -----------------------------------------------------------------------------------------------


def output_key(model: Any, mixture: Audio, request: Separate) -> str:
    """Digest of all that an unmodified output depends on."""
    return digest(
        {
            "model": model.identity(),
            "mixture": mixture.digest(),
            "prompt": request.prompt,
            "noise_seed": request.noise_seed,
        }
    )


def timing_key(key: str) -> str:
    """Where the seconds of the output under ``key`` are kept."""
    return digest({"seconds": key})


def shown_key(bench: Bench, key: str) -> str:
    """Where is kept what an intervention made of an item whose unmodified output is under ``key``."""
    return digest({"shown": key, "intervention": bench.intervention.identity()})


def arrays_of(stems: Stems) -> dict[str, NDArray[Any]]:
    """Stems as named arrays."""
    arrays: dict[str, NDArray[Any]] = {
        "target": stems.target.samples,
        "residual": stems.residual.samples,
        "rate": np.array([stems.target.rate]),
        "evaluations": np.array([stems.evaluations]),
    }
    return arrays if stems.latents is None else arrays | {"latents": stems.latents}


def stems_of(arrays: Arrays) -> Stems:
    """The inverse of :func:`arrays_of`."""
    rate = int(arrays["rate"][0])
    return Stems(
        Audio(arrays["target"], rate),
        Audio(arrays["residual"], rate),
        arrays.get("latents"),
        int(arrays["evaluations"][0]),
    )
