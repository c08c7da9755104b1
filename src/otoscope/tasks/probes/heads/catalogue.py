"""Which heads a collection gets, by its kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from otoscope.core.errors import UsageError
from otoscope.readouts.probe import Needs
from otoscope.tasks.probes.heads.data import Data, Head
from otoscope.tasks.probes.protocols import PROBES, Protocol

#: Probes that a kind of task has a head for.
OF_KIND: Mapping[str, tuple[str, ...]] = {
    "clip": PROBES,
    "frame": ("xares-mlp", "mlp"),
    "contrastive": ("xares-mlp",),
    "asr": ("xares-mlp",),
}


def heads_of(data: Data) -> list[Head]:
    """The heads of the protocol's probes that suit the collection; they load torch."""
    from otoscope.tasks.probes.heads.clip import clip_heads
    from otoscope.tasks.probes.heads.retrieval import retrieval_heads
    from otoscope.tasks.probes.heads.speech import speech_heads
    from otoscope.tasks.probes.heads.timeline import timeline_heads

    made: Mapping[str, Callable[[Data], list[Head]]] = {
        "clip": clip_heads,
        "frame": timeline_heads,
        "contrastive": retrieval_heads,
        "asr": speech_heads,
    }
    return made[data.collection.kind](data)


def lacking(kind: str, how: Protocol) -> str | None:
    """Why a task of this kind cannot be probed as asked; None where it can."""
    if kind not in OF_KIND:
        raise UsageError(f"there is no kind of probe task {kind!r}", fix=f"Use {', '.join(OF_KIND)}.")
    if any(n in OF_KIND[kind] for n in how.probe_names):
        return None
    return f"none of the probes {how.probes} has a head for tasks of the kind {kind}; use {' or '.join(OF_KIND[kind])}"


def needed(kind: str, how: Protocol) -> set[Needs]:
    """What the probes look at."""
    if kind != "clip":
        return {"vectors"} if kind == "contrastive" else {"frames"}
    own: Mapping[str, Needs] = {"layer-mix": "layers", "attention": "frames"}
    return {own.get(n, "vectors") for n in how.probe_names}
