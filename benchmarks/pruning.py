"""What pruning audio tokens and evicting keys cost and save, in decoders of Qwen2.5-Omni's widths with random weights.

A few layers run; every method takes its turn in every round, so that a busy machine is unfair to none, and the median
over rounds counts. On the CPU it is processor time of one thread. *Whole* figures are composed of the layers' measured
costs, for the model's number of layers: nobody ran that many.
"""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from common import options, show
from decoder_runs import SIZES, DecoderRun
from otoscope.core.nouns import Intervention
from otoscope.interventions.catalogue import resolve_intervention, split
from otoscope.models.audiolms.phases import Phases

LAYER = 2
PRUNERS = (
    "prune/random",
    "prune/frame",
    "prune/fastv",
    "prune/fastv-norope",
    "prune/dart",
    "prune/sparsevlm+",
    "prune/segment-topk",
    "headrouter",
)
EVICTORS = (
    "evict/knorm",
    "evict/random",
    "evict/streaming",
    "evict/snapkv",
    "evict/tova",
    "evict/h2o",
    "evict/expected-attention",
)
IDLE = ("prune/frame", "evict/streaming", "evict/snapkv")


@dataclass
class Took:
    """Of one method, round by round: seconds of the prompt and of one token after it, seconds of a pruner's scores and
    of an evictor's work, bytes of the cache."""

    prompt: list[float] = field(default_factory=list)
    token: list[float] = field(default_factory=list)
    scoring: list[float] = field(default_factory=list)
    evicting: list[float] = field(default_factory=list)
    bytes: int = 0
    peak: int | None = None
    kept: float = 1.0

    def median(self, what: str) -> float:
        return statistics.median(getattr(self, what))


def made(name: str, keep: float) -> Intervention:
    """``name`` with ``keep`` (and, of pruners, the layer); "none" as it is."""
    if name == "none":
        return resolve_intervention(name)
    layer = lambda part: "" if part.startswith("evict/") else f",layer={LAYER}"  # noqa: E731
    parts = [f"{part}:keep={keep}{layer(part)}" for part in split(name)]
    return resolve_intervention("+".join(parts))


def once(run: DecoderRun, method: Intervention, steps: int, took: Took) -> None:
    """One prompt and ``steps`` tokens under ``method``."""
    phases = Phases(run.device)
    with method.on(run) as report:  # type: ignore[arg-type]
        phases.enter("prefill")
        cache, wall, cpu = run.took(run.prefill)
        phases.enter(None)
        did = {} if report is None else dict(report.drain())
        took.bytes = sum(t.numel() * t.element_size() for layer in cache.layers for t in (layer.keys, layer.values))
        _, wall_after, cpu_after = run.took(lambda: run.decode(cache, steps))
    on_gpu = run.device.type == "cuda"
    took.prompt.append(wall if on_gpu else cpu)
    took.token.append((wall_after if on_gpu else cpu_after) / steps)
    # The report's clock is on the wall; what it says is a share of the wall's prompt.
    took.scoring.append(did.get("scoring_seconds", 0.0) / wall * took.prompt[-1])
    took.evicting.append(did.get("eviction_seconds", 0.0) / wall * took.prompt[-1])
    took.peak = phases.peak_bytes.get("prefill")
    took.kept = did.get("kept_audio_share", 1.0)


def measure(run: DecoderRun, names: Sequence[str], keep: float, rounds: int, steps: int) -> dict[str, Took]:
    """Every method in turn, so many rounds, after one prompt that is not counted."""
    found = {name: Took() for name in ("none", *names)}
    once(run, made("none", keep), 1, Took())
    for _ in range(rounds):
        for name, took in found.items():
            once(run, made(name, keep), steps, took)
    return found


def rows_of(run: DecoderRun, size: str, found: dict[str, Took]) -> list[dict[str, Any]]:
    """One row per method, all against the first."""
    bare = found["none"]
    full = bare.median("prompt") / run.layers
    rows = []
    for name, took in found.items():
        prunes = took.kept < 1.0
        left = run.tokens - run.audio + round(took.kept * run.audio)
        operations = LAYER * run.cost.layer(run.tokens) + (run.layers - LAYER) * run.cost.layer(left)
        ratio = operations / (run.layers * run.cost.layer(run.tokens))
        prompt, scoring, evicting = took.median("prompt"), took.median("scoring"), took.median("evicting")
        # A pruner scores once, an evictor works in every layer; the layers above a pruner are those that cost less.
        above = (prompt - scoring - evicting - LAYER * full) / (run.layers - LAYER) if prunes else full
        whole = LAYER * full + (run.whole - LAYER) * above
        scores = scoring + evicting * run.whole / run.layers
        rows.append(
            {
                "size": size,
                "tokens": run.tokens,
                "method": name,
                "prefill, s": prompt,
                "prefill re none": prompt / bare.median("prompt"),
                "FLOPs re none": ratio if prunes else 1.0,
                "speed-up re FLOPs": bare.median("prompt") / prompt * ratio if prunes else None,
                "scoring share": (scoring + evicting) / prompt,
                "scoring share, whole (composed)": scores / (whole + scores),
                "prefill re none, whole (composed)": (whole + scores) / (run.whole * full),
                "KV bytes": took.bytes,
                "KV re none": took.bytes / bare.bytes,
                "token re none": took.median("token") / bare.median("token"),
                "peak MB": None if took.peak is None else took.peak / 1e6,
            }
        )
    return rows


def idle_rows(run: DecoderRun, rounds: int, steps: int) -> list[dict[str, Any]]:
    """Hooks with nothing to do: everything is kept. The fastest of the rounds counts, since what is looked for is
    smaller than the noise of a busy machine."""
    found = measure(run, IDLE, 1.0, rounds, steps)
    bare = found["none"]
    return [
        {
            "keep = 1": name,
            "prefill re none": min(took.prompt) / min(bare.prompt),
            "token, ms": 1e3 * min(took.token),
            "token re none": min(took.token) / min(bare.token),
            "ms per layer and token": 1e3 * (min(took.token) - min(bare.token)) / run.layers,
        }
        for name, took in found.items()
    ]


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--size", choices=sorted(SIZES), default="3b", help="widths of the decoder")
    parser.add_argument("--layers", type=int, default=4, help="layers that run")
    parser.add_argument("--seconds", type=float, nargs="+", default=[90.0], help="of sound")
    parser.add_argument("--keep", type=float, default=0.3)
    parser.add_argument("--methods", nargs="*", default=[*PRUNERS, *EVICTORS, "prune/frame+evict/snapkv"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8, help="tokens of the answer")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--idle", action="store_true", help="also measure hooks that have nothing to do")
    chosen = parser.parse_args()
    if chosen.layers <= LAYER:
        parser.error(f"--layers must be more than {LAYER}, where pruners act")
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="headrouter: no profile")
    rows: list[dict[str, Any]] = []
    run: DecoderRun | None = None
    for seconds in chosen.seconds:
        run = DecoderRun(chosen.size, chosen.layers, seconds, torch.device(chosen.device), chosen.dtype)
        found = measure(run, chosen.methods, chosen.keep, chosen.rounds, chosen.steps)
        rows += rows_of(run, chosen.size, found)
    show(rows, chosen.json)
    if chosen.idle and run is not None:
        print()
        show(idle_rows(run, chosen.rounds + 4, 2 * chosen.steps), chosen.json)


if __name__ == "__main__":
    main()
