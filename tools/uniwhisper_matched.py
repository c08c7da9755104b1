"""What UniWhisper's matched runs and ablations say, as Markdown tables, from what ``tools/uniwhisper_proof.py`` left.

``python tools/uniwhisper_matched.py runs/uniwhisper``; with ``--into docs/explanation/uniwhisper.md`` the tables go
between that page's marks. Differences are paired by test item. Intervals are of 95 % (bootstrap over whole groups
within a task, combined over the tasks of a domain); p is from sign flips of whole groups, after Holm over one table.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from otoscope.models.bundled.tiny_whisper import BASE
from otoscope.results.store import Results
from otoscope.stats.correction import holm
from otoscope.tasks.probes.findings import p_text, shown
from otoscope.tasks.probes.study import Reading, Study, Versus

#: The recipe as it is, and without what it does against forgetting beside replaying speech; three seeds each.
KEPT, PLAIN = (tuple(f"{name}-{seed}" for seed in (1, 2, 3)) for name in ("kept", "matched"))
#: Run -> what it is, and what it is compared with. Whisper's own decoder goes without CTC, so the run that differs in
#: the decoder alone is "no-ctc".
ABLATIONS: Mapping[str, tuple[str, Sequence[str]]] = {
    "no-replay": ("no speech in the mixture", ["matched-1"]),
    "trainable": ("the language model trained too", ["matched-1"]),
    "no-ctc": ("no CTC beside it", ["matched-1"]),
    "own-decoder": ("Whisper's own decoder, no CTC", ["no-ctc", "matched-1"]),
}
DOMAINS = ("speech", "sound", "music")
#: The largest fall of the speech mean that counts as none.
MARGIN = 0.02


@dataclass(frozen=True)
class Proof:
    """The folder ``work`` of the runs."""

    work: Path

    @cached_property
    def study(self) -> Study:
        return Study(Results.open(self.work / "probes"))

    @cached_property
    def readings(self) -> Mapping[str, Mapping[tuple[str, str], Reading]]:
        """By run (or the base), then by (task, probe); runs whose probes are not all done are left out, and named."""
        found: dict[str, dict[tuple[str, str], Reading]] = {}
        for r in self.study.last:
            name = r.model if r.model == BASE or "/" not in r.model else Path(r.model).parent.name
            found.setdefault(name, {})[r.task, r.probe] = replace(r, model=name)
        half = [name for name, by in found.items() if by.keys() != found[BASE].keys()]
        for name in half:
            print(f"left out: {name}, which was not read by every probe yet", file=sys.stderr)
            del found[name]
        return found

    def there(self, *names: str) -> bool:
        return all(n in self.readings for n in names)

    def mean(self, names: Sequence[str]) -> Mapping[tuple[str, str], Reading]:
        """One run in place of several: of every item the mean of its shares."""
        first, *more = (self.readings[n] for n in names)
        found = {}
        for key, r in first.items():
            others = [dict(zip(m[key].items, m[key].shares.tolist(), strict=True)) for m in more]
            shares = [float(np.mean([s, *(o[i] for o in others)])) for i, s in zip(r.items, r.shares, strict=True)]
            found[key] = replace(r, model=f"mean of {len(names)}", shares=np.array(shares))
        return found

    def against(
        self, before: Mapping[tuple[str, str], Reading], after: Mapping[tuple[str, str], Reading]
    ) -> list[Versus]:
        """By probe and domain."""
        pairs = [(r, after[key]) for key, r in before.items() if key in after]
        return [v for v in self.study.against(pairs) if v.domain in DOMAINS]

    # --- tables ---

    def seeds(self, runs: Sequence[str]) -> str:
        """Every seed of a recipe against the base, and their mean with its interval."""
        base = self.readings[BASE]
        each = [{(v.probe, v.domain): v for v in self.against(base, self.readings[s])} for s in runs]
        whole = corrected(self.against(base, self.mean(runs)))
        rows = []
        for v in sorted(whole, key=lambda v: (DOMAINS.index(v.domain), v.probe)):
            own = [float(e[v.probe, v.domain].difference.value or 0.0) for e in each]
            signs = {np.sign(d) for d in own}
            sign = "one sign" if len(signs) == 1 else "both signs"
            rows.append([v.domain, v.probe, *(f"{d:+.3f}" for d in own), sign, shown(v.difference, sign=True) or "",
                         p_text(v.p_holm)])  # fmt: skip
        header = ["domain", "probe", *(f"seed {s[-1]}" for s in runs), "over seeds", "mean of the three", "p (Holm)"]
        return markdown(header, rows)

    def speech(self) -> str:
        """Whether the fall of speech is shown to be less than the margin, by task too."""
        rows = []
        base = self.readings[BASE]
        sides = []
        for runs in (KEPT, PLAIN):
            if self.there(*runs):
                mean = (f"mean of {runs[0][:-2]}", self.mean(runs))
                sides += [*((s, self.readings[s]) for s in runs), mean]
        for name, after in sides:
            for v in self.against(base, after):
                if v.domain == "speech":
                    low = v.difference.low
                    tasks = [shown(v.by_task[t], sign=True) or "" for t in sorted(v.by_task)]
                    kept = "yes" if low is not None and low > -MARGIN else "no"
                    rows.append([name, v.probe, *tasks, shown(v.difference, sign=True) or "", kept])
        header = ["run", "probe", "digits", "sex of a voice", "speech", f"above -{MARGIN} throughout"]
        return markdown(header, rows)

    def ablations(self) -> str:
        """Each against its references (seed 1)."""
        named = [(n, ref) for n, (_, refs) in ABLATIONS.items() for ref in refs if self.there(n, ref)]
        found = [(pair, v) for pair in named for v in self.against(self.readings[pair[1]], self.readings[pair[0]])]
        p = holm(np.array([v.p for _, v in found]))
        rows = []
        for pair in named:
            for probe in dict.fromkeys(v.probe for _, v in found):
                by = {
                    v.domain: f"{shown(v.difference, sign=True)}, p {p_text(float(q))}"
                    for (own, v), q in zip(found, p, strict=True)
                    if (own, v.probe) == (pair, probe)
                }
                rows.append([ABLATIONS[pair[0]][0], pair[1], probe, *(by.get(d, "") for d in DOMAINS)])
        return markdown(["changed", "minus", "probe", *DOMAINS], rows)

    def costs(self) -> str:
        """Steps, processor time and last losses per answer token of every run."""
        rows = []
        for name in [*KEPT, *PLAIN, *ABLATIONS]:
            log = self.work / name / "log.jsonl"
            if not (self.work / name / "encoder" / "model.safetensors").is_file():
                continue
            lines = [json.loads(x) for x in log.read_text(encoding="utf-8").splitlines()]
            last = lines[-1]
            lows = [min((x["held_out"]["instrument"], x["step"]) for x in lines if "held_out" in x)]
            cpu = sum(json.loads(x)["cpu_s"] for x in (self.work / name / "cpu.jsonl").read_text().splitlines())
            loss = [f"{last['loss'][t]:.2f}" if t in last["loss"] else "" for t in ("asr", "sound", "instrument")]
            held = [f"{last['held_out'][t]:.2f}" for t in ("sound", "instrument")]
            (low, at) = lows[0]
            rows.append([name, str(last["step"]), f"{cpu / 60:.1f}", *loss, *held, f"{low:.2f} (step {at})"])
        header = ["run", "steps", "CPU minutes", "digits", "sounds", "instruments", "held-out sounds",
                  "held-out instruments", "lowest of these"]  # fmt: skip
        return markdown(header, rows)

    def forgetting(self) -> str:
        """What the decoder that knows the base reads from each run's encoder."""
        told: Mapping[str, Any] = json.loads((self.work / "forgetting.json").read_text(encoding="utf-8"))
        first = next(iter(told.values()))
        voices = list(first)
        rows = [
            [BASE, *(x for v in voices for x in (f"{first[v]['loss_before']:.2f}", f"{first[v]['wer_before']:.2f}"))]
        ]
        for name, by in told.items():
            rows.append([name, *(x for v in voices for x in (f"{by[v]['loss']:.2f}", f"{by[v]['wer']:.2f}"))])
        header = ["encoder", *(f"{x}, voices {v}" for v in voices for x in ("loss per token", "word errors"))]
        return markdown(header, rows)

    def tables(self) -> Mapping[str, str]:
        """By the name of their mark."""
        found = {"speech": self.speech(), "ablations": self.ablations(), "costs": self.costs()}
        found |= {runs[0][:-2]: self.seeds(runs) for runs in (KEPT, PLAIN) if self.there(*runs)}
        if (self.work / "forgetting.json").is_file():
            found["forgetting"] = self.forgetting()
        return found


def corrected(found: Sequence[Versus]) -> list[Versus]:
    return [replace(v, p_holm=float(p)) for v, p in zip(found, holm(np.array([v.p for v in found])), strict=True)]


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [header, ["---"] * len(header), *rows])


def write_into(page: Path, tables: Mapping[str, str]) -> None:
    """Put each table between ``<!-- NAME: ... -->`` and ``<!-- end of NAME -->``."""
    text = page.read_text(encoding="utf-8")
    for name, table in tables.items():
        pattern = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        if len(pattern.findall(text)) != 1:
            raise SystemExit(f"{page} has not one place for the table {name!r}")
        text = pattern.sub(lambda m, t=table: f"{m[1]}\n{t}\n\n{m[2]}", text)
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="the folder of tools/uniwhisper_proof.py")
    parser.add_argument("--into", type=Path, help="a page with a place for each table")
    chosen = parser.parse_args()
    tables = Proof(chosen.work).tables()
    if chosen.into is None:
        print("\n\n".join(f"{name}\n\n{table}" for name, table in tables.items()))
    else:
        write_into(chosen.into, tables)
