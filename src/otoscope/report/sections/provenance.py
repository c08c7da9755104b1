"""How the run was made: commands, versions, hardware, cells, seeds, licences."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from otoscope.core.naming import parse_spec
from otoscope.report.cards import known_of
from otoscope.report.run import Run
from otoscope.report.section import TD, Block, Facts, Fold, Prose, Section, Table
from otoscope.results.shardfiles import NOTHING_ASKED

_STATES = ("planned", "running", "done", "failed")


def provenance(run: Run) -> Section:
    """Everything that a reader needs to make the same numbers."""
    blocks: list[Block] = []
    if run.records:
        for i, record in enumerate(run.records):
            facts = Facts(_facts(record))
            last = i == len(run.records) - 1
            title = f"Command {i + 1} of {len(run.records)}" if len(run.records) > 1 else "The command"
            blocks.append(Fold(title, [facts], shown=last))
    else:
        blocks.append(Prose("The directory holds no record of a run.", "missing"))
    blocks.append(_licences(run))
    blocks += _recalled(run)
    if run.cells:
        rows: list[list[TD | str]] = [
            [
                TD(c.alias, sub=c.cell),
                TD(c.status, tone="good" if c.status == "done" else "bad" if c.status == "failed" else "warn"),
                TD(str(c.n_items), number=True),
                TD(str(c.n_done), number=True),
                TD(str(c.n_failed), number=True, tone="bad" if c.n_failed else None),
            ]
            for c in run.cells
        ]
        header = ["cell, and its identity", "state", "items", "done", "failed"]
        blocks.append(Fold(f"Cells ({len(rows)})", [Table("Cells", header, rows, compact=True)]))
    return Section("made", "How it was made", blocks)


def _facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    environment = record.get("environment", {})
    experiment = record.get("experiment", {})
    execution = record.get("execution", {})
    packages = environment.get("packages", {})
    found = {
        "command": shlex.join(str(a) for a in environment.get("argv", [])),
        "experiment": _joined(experiment.get("name"), experiment.get("preset"), " / "),
        "subjects": ", ".join(experiment.get("models", [])),
        "references": ", ".join(experiment.get("references", [])),
        "twins per subject": str(experiment.get("twins", "")),
        "seeds": ", ".join(str(s) for s in experiment.get("seeds", [])),
        "items limited to": str(experiment.get("limit") or ""),
        "versions": ", ".join(f"{k} {v}" for k, v in packages.items()),
        "Python": str(environment.get("python", "")),
        "machine": _joined(environment.get("platform"), _cores(environment.get("cpus")), ", "),
        "processor": str(environment.get("processor") or ""),
        "memory": _gib(environment.get("memory_bytes")),
        "GPUs": "; ".join(", ".join(g.values()) for g in environment.get("gpus", [])),
        "execution": ", ".join(f"{k} {v}" for k, v in execution.items()),
    }
    return [(k, v) for k, v in found.items() if v]


def _recalled(run: Run) -> list[Block]:
    """What the embedding store gave, where one was asked."""
    if run.store is None:
        return []
    found = sum((run.store.progress(c.cell).recalled for c in run.cells), NOTHING_ASKED)
    if found == NOTHING_ASKED:
        return []
    text = f"Embeddings: {found.stored} came from the embedding store, {found.encoded} were encoded in this run."
    return [Prose(text + (f" {found.damaged} damaged files were replaced." if found.damaged else ""))]


def _joined(a: Any, b: Any, between: str) -> str:
    return between.join(str(x) for x in (a, b) if x)


def _gib(n: Any) -> str:
    return f"{n / 2**30:.1f} GiB" if n else ""


def _cores(n: Any) -> str:
    return f"{n} processor cores" if n else ""


def _licences(run: Run) -> Block:
    models = list(dict.fromkeys(c.model for c in run.cells)) or list(dict.fromkeys(s.model for s in run.scores))
    originals = {m: str(parse_spec(m).without("init", "seed")) for m in models}
    rows: list[list[TD | str]] = []
    for m in models:
        if originals[m] != m and originals[m] in models:
            continue  # a twin's card is its original's
        known = known_of(m)
        broken = "; ".join(known.breaks) or ("none declared" if known.cues is not None else "not known here")
        cells = [known.summary, known.licence or "not stated here", known.source, broken, "; ".join(known.notes)]
        rows.append([m, *map(TD, cells)])
    caption = "What each model is, its licence and its source, which contracts it breaks by itself, and its traps"
    header = ["model", "what it is", "licence", "source", "breaks", "traps"]
    return Fold(f"Models: licences, sources, traps ({len(rows)})", [Table(caption, header, rows)])
