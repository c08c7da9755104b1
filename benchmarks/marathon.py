"""Items per minute of a sweep over interventions on long recordings, against the straightforward loop.

The loop decodes the item and calls ``generate`` once per item and setting. A run shares what settings can share:
decoding, features, audio encoder. With 8 settings and a share s of the loop's time in these, no sharing can be faster
than 8 / (8 - 7 s). Both start from a loaded model that has answered once; both answer with the same words, or the
benchmark ends. A run also writes durable rows, and asks whether answers equal the bare model's. Beside the wall clock
stands the processors' time, which others on the machine disturb less; it leaves out waiting for the disk. ``--memory 6
24 48`` measures the peak memory of runs over so many recordings instead, with two settings; a shard is 6.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from common import child, options, peak_mb, show

SETTINGS = (
    "none", "prune/random:keep=0.5", "prune/frame:keep=0.7", "prune/frame:keep=0.5", "prune/frame:keep=0.3",
    "prune/fastv:keep=0.5", "evict/knorm:keep=0.5", "evict/snapkv:keep=0.5",
)  # fmt: skip
#: What is enough to fill memory with.
FEW = (SETTINGS[0], SETTINGS[3])
BUNDLED = "tiny-audiolm"


def arguments() -> argparse.Namespace:
    parser = options(__doc__ or "")
    parser.add_argument("--model", help=f"an audio language model [{BUNDLED} where it is there, else small and random]")
    parser.add_argument("--items", type=int, default=4, help="recordings; each is asked about at every length")
    parser.add_argument("--lengths", type=float, nargs="+", default=[90.0, 180.0, 300.0], help="seconds")
    parser.add_argument("--memory", type=int, nargs="+", metavar="ITEMS", help="only peaks of runs over so many")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    if args.child:
        kind, model, data, limit = args.child
        kinds = {"loop": _loop, "run": _run, "few": partial(_run, settings=FEW)}
        print(json.dumps(kinds[kind](model, data, int(limit))))
        return
    from otoscope.tasks.longaudio.builder import Plan, build

    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        lengths, items = (args.lengths[:1], max(args.memory)) if args.memory else (args.lengths, args.items)
        build(Plan(families=("presence",), lengths_s=tuple(lengths), items=items), root / "data")
        model, called = _model(args.model, root)
        if args.memory:
            show(_memory(args.memory, lengths[0], model, called, root / "data"), args.json)
            return
        n = args.items * len(args.lengths)
        loop, run, half = (_child(k, model, root / "data", m) for k, m in (("loop", n), ("run", n), ("run", n // 2)))
    if loop["answers"] != run["answers"]:
        raise SystemExit("the loop and the run answer differently")
    bound = len(SETTINGS) / (len(SETTINGS) - (len(SETTINGS) - 1) * loop["shared"])
    gain, by_cpu = (loop[c] / run[c] for c in ("seconds", "cpu"))
    row = {
        "model": called,
        "items": n,
        "settings": len(SETTINGS),
        "loop, items/min": 60 * n * len(SETTINGS) / loop["seconds"],
        "run, items/min": 60 * n * len(SETTINGS) / run["seconds"],
        "share s": loop["shared"],
        "times faster": gain,
        "bound": bound,
        "of the bound": gain / bound,
        "of the bound, processor time": by_cpu / bound,
        "loop peak MB": loop["peak_mb"],
        "run peak MB": run["peak_mb"],
        "run peak MB, half the items": half["peak_mb"],
    }
    show([row], args.json)


def _memory(counts: Sequence[int], length: float, model: str, called: str, data: Path) -> list[dict[str, Any]]:
    peaks = [_child("few", model, data, n)["peak_mb"] for n in counts]
    return [
        {"model": called, "items": n, "sound, s": length, "settings": len(FEW), "run peak MB": peak,
         "re the first": peak / peaks[0]}
        for n, peak in zip(counts, peaks, strict=True)
    ]  # fmt: skip


def _model(name: str | None, root: Path) -> tuple[str, str]:
    from otoscope.models.catalogue import MODELS

    if name is not None:
        return name, Path(name).name
    if BUNDLED in MODELS:
        return BUNDLED, BUNDLED
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
    import small_audiolms

    return str(small_audiolms.FAMILIES["audioflamingo3"](root / "model")), "small random Audio Flamingo 3"


def _child(kind: str, model: str, data: Path, limit: int) -> dict[str, Any]:
    spent = child([sys.executable, __file__, "--child", kind, model, str(data), str(limit)])
    found: dict[str, Any] = json.loads(spent.output.splitlines()[-1])
    return found


def _task(data: str) -> Any:
    from otoscope.tasks.catalogue import resolve_task

    return resolve_task(f"longaudio/presence:data={data}")


def _loaded(name: str, task: Any) -> Any:
    from otoscope.core.nouns import Prompt
    from otoscope.models.resolve import load

    model = load(name)
    clip = task.items()[0].inputs.render(model.card.rate)["clip"]
    model.generate([Prompt("?", (clip,))], 1)
    return model


def _loop(name: str, data: str, limit: int) -> dict[str, Any]:
    from otoscope.core.nouns import Prompt
    from otoscope.interventions.catalogue import resolve_intervention

    task = _task(data)
    model = _loaded(name, task)
    answers: dict[str, str] = {}
    shared = 0.0
    began, began_cpu = time.perf_counter(), time.process_time()
    for item in task.items()[:limit]:
        for setting in SETTINGS:
            start = time.perf_counter()
            clip = item.inputs.render(model.card.rate)["clip"]
            shared += time.perf_counter() - start
            request = task.request(item, model.card)
            with resolve_intervention(setting).on(model):
                reply = model.generate([Prompt(request.text, (clip,), request.system)], request.max_new_tokens)[0]
            shared += reply.seconds["features"] + reply.seconds["encoder"]
            answers[f"{item.id} | {setting}"] = reply.text
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    return {"seconds": seconds, "cpu": cpu, "shared": shared / seconds, "answers": answers, "peak_mb": peak_mb()}


def _run(name: str, data: str, limit: int, settings: Sequence[str] = SETTINGS) -> dict[str, Any]:
    from otoscope.core.naming import parse_spec
    from otoscope.experiments.experiment import Block, Experiment
    from otoscope.experiments.runner import run

    task = _task(data)
    model = _loaded(name, task)
    model.name = "subject"
    specs = lambda *names: tuple(map(parse_spec, names))  # noqa: E731
    blocks = (Block(specs(f"longaudio/presence:data={data}")),)
    with tempfile.TemporaryDirectory() as folder:
        exp = Experiment("marathon", blocks, models=(), interventions=specs(*settings), limit=limit)
        began, began_cpu = time.perf_counter(), time.process_time()
        summary = run(exp, into=Path(folder) / "run", models=[model])
        seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
        if summary.n_failed:
            raise SystemExit(f"{summary.n_failed} items failed")
        setting = {c.cell: c.intervention for c in summary.results.cells()}
        rows = summary.results.rows(metrics=["chosen"]).to_pylist()
        answers = {f"{r['item']} | {setting[r['cell']]}": r["raw"] for r in rows}
    wanted = {str(parse_spec(s)): s for s in settings}
    answers = {f"{k.split(' | ')[0]} | {wanted[k.split(' | ')[1]]}": v for k, v in answers.items()}
    return {"seconds": seconds, "cpu": cpu, "answers": answers, "peak_mb": peak_mb()}


if __name__ == "__main__":
    main()
