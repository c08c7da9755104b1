"""Writing a benchmark: per item one sound file of the greatest length, and in the manifest a line per question and
length. A shorter version is a stretch of the file, so the same content is asked about at every length.

An item is a pure function of (seed, family, split, number, material, lengths, acoustics). The folder is written under
another name and renamed when it is whole; the same call after an interruption keeps the files that are there.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from otoscope.audio import io
from otoscope.audio.binaural import child
from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, UsageError
from otoscope.core.identity import digest
from otoscope.core.items import Factor
from otoscope.tasks.audiomarathon.miniature.pool import RATE
from otoscope.tasks.longaudio.families import FAMILIES, Core, Question
from otoscope.tasks.longaudio.material import Material, Source, divide, read_material
from otoscope.tasks.longaudio.timeline import LONGEST_S, Acoustics, Part, Placed, lay, moved, render

#: Raised whenever the same seed gives another benchmark.
VERSION = 1
FORMAT = "otoscope-long-audio"
MANIFEST, ABOUT = "manifest.jsonl", "benchmark.json"


@dataclass(frozen=True)
class Plan:
    """What is built. ``places`` as in :func:`read_material`; ``lengths_s`` rising; ``items`` per family to test on and
    ``train_items`` from other sources; ``positions``: where, from 0 to 1, the core lies in what is longer."""

    places: tuple[str, ...] = ("package",)
    families: tuple[str, ...] = ()
    lengths_s: tuple[float, ...] = (30.0, 60.0, 120.0, 300.0)
    items: int = 20
    train_items: int = 0
    positions: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0)
    acoustics: Acoustics = field(default_factory=Acoustics)
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.lengths_s or any(b <= a for a, b in itertools.pairwise(self.lengths_s)):
            raise UsageError(f"lengths must rise, got {' '.join(map(str, self.lengths_s))}")
        if self.lengths_s[0] < 5 or self.lengths_s[-1] > 4 * 3600:
            raise UsageError("lengths go from 5 s to 4 hours")
        if unknown := [f for f in self.families if f not in FAMILIES]:
            raise UsageError(f"there is no family {unknown[0]!r}", fix=f"Families: {', '.join(FAMILIES)}.")
        if not self.positions or not all(0 <= p <= 1 for p in self.positions):
            raise UsageError(f"positions are shares from 0 to 1, got {self.positions}")
        if self.items < 1 or self.train_items < 0:
            raise UsageError("a benchmark has one item a family or more")


@dataclass(frozen=True)
class Built:
    """What :func:`build` wrote: lines of the manifest, sound files, their seconds, and the families that were left out
    with the reason."""

    folder: Path
    n_lines: int
    n_files: int
    seconds: float
    left_out: Mapping[str, str]


def build(plan: Plan, folder: Path, tell: Callable[[str], None] = lambda text: None) -> Built:
    """Write the benchmark into a new ``folder``. Raises :class:`UsageError` where it is there, or where a family that
    was asked for lacks its material."""
    if folder.exists():
        raise UsageError("is there already", where=str(folder), fix="Name a new folder.")
    sources = read_material(plan.places)
    train, test = divide(sources, 0.5 if plan.train_items else 0.0, plan.seed)
    families, left_out = _possible(plan, test, train)
    part = folder.with_name(f".{folder.name}.part")
    about = _about(plan, sources, families, left_out)
    _resume(part, about)
    lines: list[dict[str, Any]] = []
    files: dict[str, float] = {}
    for split, material, n in (("test", test, plan.items), ("train", train, plan.train_items)):
        for key in families:
            for k in range(n):
                tell(f"{split}: {key} {k + 1} of {n}")
                found = list(_item(plan, material, split, key, k, part))
                lines += found
                files[found[0]["file"]] = plan.lengths_s[-1]
    text = "".join(json.dumps(x, ensure_ascii=False) + "\n" for x in lines)
    (part / MANIFEST).write_text(text, encoding="utf-8")
    part.rename(folder)
    return Built(folder, len(lines), len(files), sum(files.values()), left_out)


def _possible(plan: Plan, test: Material, train: Material) -> tuple[list[str], dict[str, str]]:
    keys, left_out = [], {}
    for key in plan.families or FAMILIES:
        lacks = FAMILIES[key].lacks
        why = lacks(test) or (lacks(train) if plan.train_items else None)
        if why is None:
            keys.append(key)
        elif plan.families:
            raise UsageError(
                f"the family {key} {why}", where=", ".join(plan.places), fix="Add clips, or --from package."
            )
        else:
            left_out[key] = why
    if not keys:
        reasons = "; ".join(f"{k} {why}" for k, why in left_out.items())
        raise InputError(f"gives no family what it needs: {reasons}", where=", ".join(plan.places))
    return keys, left_out


def _about(
    plan: Plan, sources: Sequence[Source], families: Sequence[str], left_out: Mapping[str, str]
) -> dict[str, Any]:
    told = asdict(plan)
    told["places"] = [p if p == "package" else Path(p).name for p in plan.places]
    counts: dict[str, int] = {}
    for s in sources:
        counts[s.kind] = counts.get(s.kind, 0) + 1
    return {
        "format": FORMAT,
        "version": VERSION,
        "plan": told,
        "families": list(families),
        "left_out": dict(left_out),
        "sources": counts,
        "sources_digest": digest(sorted([s.id, s.group, s.sha256] for s in sources)),
        "rate": RATE,
    }


def _resume(part: Path, about: Mapping[str, Any]) -> None:
    """An unfinished folder of the same benchmark is gone on with."""
    text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
    known = part / ABOUT
    if part.exists() and (not known.is_file() or known.read_text(encoding="utf-8") != text):
        raise UsageError("was left by another benchmark that was not finished", where=str(part), fix="Remove it.")
    (part / "audio").mkdir(parents=True, exist_ok=True)
    known.write_text(text, encoding="utf-8")


# --- one item ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Whole:
    """An item laid out: all that is heard in its longest version, where each version starts in it (s)."""

    base: str
    file: str
    position: float
    core: Core
    placed: Sequence[Placed]
    starts: Sequence[float]


def _item(plan: Plan, m: Material, split: str, key: str, k: int, root: Path) -> Iterator[dict[str, Any]]:
    rng = child(plan.seed, "longaudio", key, split, k)
    base = f"{key}-{split}-{k:04d}"
    try:
        position = plan.positions[_turn(plan, key, split, k, len(plan.positions), "position")]
        whole = _Whole(base, f"audio/{base}.flac", position, *laid_out(plan, m, key, k, rng, position))
    except InputError as e:
        raise InputError(e.what, where=f"{key} {k}" + (f", {e.where}" if e.where else ""), fix=e.fix) from e
    if not (root / whole.file).is_file():
        sound = render(rng, whole.placed, round(plan.lengths_s[-1] * RATE), plan.acoustics, plan.seed + k)
        io.write(root / whole.file, Audio(sound[None], RATE), "PCM_16")
    for q, question in enumerate(whole.core.questions):
        place = _turn(plan, key, split, k, max(1, FAMILIES[key].options), f"option{q}")
        asked = as_asked(question, place)
        name = f"{base}/{question.name}" if question.name else base
        for seconds, start in zip(plan.lengths_s, whole.starts, strict=True):
            yield {
                "id": f"{name}@{seconds:g}",
                "base_id": name,
                "family": key,
                "split": split,
                "file": whole.file,
                "start_s": round(start, 6),
                "seconds": seconds,
                **asked,
                "group": whole.core.group or base,
                "factors": _factors(plan, key, whole, question, seconds, start),
                **_heard(whole, seconds, start),
            }


def as_asked(q: Question, place: int) -> dict[str, Any]:
    """``question``, ``options`` with the right one at ``place`` (or in their fixed order), and the ``answer``."""
    options = list(q.fixed)
    if not options and q.right:
        options = list(q.wrong)
        options.insert(place, q.right)
    return {"question": q.text, "options": options, "answer": q.transcript if q.transcript is not None else q.right}


def _factors(plan: Plan, key: str, whole: _Whole, q: Question, seconds: float, start: float) -> dict[str, Factor]:
    a = plan.acoustics
    last = max(p.end for p in whole.placed if p.part in whole.core.parts) / RATE
    return {
        "family": key,
        "seconds": float(seconds),
        "position": whole.position,
        "depth_s": round(start + seconds - last, 2),
        "snr_db": a.snr_db,
        "overlap": a.overlap,
        "rt60_s": a.rt60_s or 0.0,
        **q.factors,
    }


def _heard(whole: _Whole, seconds: float, start: float) -> dict[str, Any]:
    """What is heard in one version, in its own time, and from which sources."""
    first, last = round(start * RATE), round((start + seconds) * RATE)
    inside = sorted((p for p in whole.placed if first <= p.start and p.end <= last + 1), key=lambda p: p.start)
    heard = [
        {
            "role": p.part.role,
            "label": p.part.source.label,
            "start_s": round((p.start - first) / RATE, 3),
            "end_s": round((p.end - first) / RATE, 3),
        }
        for p in inside
    ]
    return {"heard": heard, "sources": sorted({p.part.source.id for p in inside})}


def laid_out(
    plan: Plan, m: Material, key: str, k: int, rng: np.random.Generator, position: float
) -> tuple[Core, list[Placed], list[float]]:
    """Item ``k`` of the family ``key``: its core, all that is heard in its longest version, and where each version
    starts in it (s). Raises :class:`InputError` where the material or the shortest length does not suffice."""
    core = FAMILIES[key].make(k, rng, m, plan.lengths_s[0])
    lengths = plan.lengths_s
    starts = [position * (lengths[-1] - seconds) for seconds in lengths]
    placed = moved(_core(plan, core, rng, position), round(starts[0] * RATE))
    for (inner, short), (outer, long) in itertools.pairwise(zip(starts, lengths, strict=True)):
        for begin, end in ((outer, inner), (inner + short, outer + long)):
            placed += moved(_filled(plan, core, rng, end - begin), round(begin * RATE))
    return core, placed, starts


def _core(plan: Plan, core: Core, rng: np.random.Generator, position: float) -> list[Placed]:
    seconds = plan.lengths_s[0]
    if not core.placed:
        return lay(rng, core.parts, seconds, plan.acoustics)
    sound = core.parts[0].samples(LONGEST_S)
    start = round(position * (seconds * RATE - len(sound)))
    before, after = start / RATE, seconds - (start + len(sound)) / RATE
    return [
        *_filled(plan, core, rng, before),
        Placed(core.parts[0], sound, start),
        *moved(_filled(plan, core, rng, after), start + len(sound)),
    ]


def _filled(plan: Plan, core: Core, rng: np.random.Generator, seconds: float) -> list[Placed]:
    """Sounds around a core in ``seconds``: as many as the density says, or one after the other."""
    gap = plan.acoustics.gap_s
    n = 10**9 if core.dense else int(np.floor(seconds * plan.acoustics.density / 60 + rng.uniform()))
    parts: list[Part] = []
    left = seconds
    while len(parts) < n:
        part = core.around(rng)
        long = len(part.samples(LONGEST_S)) / RATE + gap
        if long > left:
            break
        parts.append(part)
        left -= long
    still = Acoustics(gap_s=gap)
    return lay(rng, parts, seconds, still) if parts else []


def _turn(plan: Plan, key: str, split: str, k: int, n: int, what: str) -> int:
    """Which of ``n`` places item ``k`` gets: every block of ``n`` items has each once, in an order of its own."""
    rng = child(plan.seed, "longaudio-turn", key, split, what, k // n)
    return int(rng.permutation(n)[k % n])
