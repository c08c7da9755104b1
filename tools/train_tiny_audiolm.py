"""Train the tiny audio language model that comes with the package.

``python tools/train_tiny_audiolm.py --audio ../shared/audio/manifest.jsonl --work runs/tiny-audiolm``

Progress is saved in ``--work``; the same command goes on where it stopped. ``--leave-out SPEAKER:FOLD`` trains without
a speaker, a fold of the sounds and the first five takes of the others, and measures on what was left out. ``--minutes``
sets the number of steps from the speed of the first ones. ``--begin RUN`` begins with the weights of a finished run.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import torch

from otoscope.models.resolve import load
from otoscope.tasks.audiomarathon.miniature.pool import make_all, read_pool
from otoscope.training.audiolm.evaluate import figures, long_figures
from otoscope.training.audiolm.loop import Recipe, State, log_lines, read_head, resume, save, start, texts, train
from otoscope.training.audiolm.network import make_extractor, make_tokenizer, read_folder, write_folder

#: Takes of every speaker that are left out beside a speaker and a fold.
TAKES = 5
#: Steps whose speed is measured, after as many to warm up.
SPEED_STEPS = 30


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, help="manifest.jsonl of recordings; the package's own sounds come too")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--leave-out", metavar="SPEAKER:FOLD", help="train without these, and measure on them")
    parser.add_argument("--seeds", type=int, default=40, help="generated sounds per class")
    parser.add_argument("--minutes", type=float, help="choose the number of steps by the clock")
    parser.add_argument("--begin", type=Path, metavar="RUN", help="the --work of a finished run to go on from")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=0, help="processes that make batches")
    parser.add_argument("--every", type=int, default=500, help="steps between saves")
    parser.add_argument("--measure", type=int, default=100, help="held-out items per figure; half of it: long sounds")
    for field in fields(Recipe):
        parser.add_argument(f"--{field.name.replace('_', '-')}", type=type(field.default), default=field.default)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    recipe = Recipe(**{f.name: getattr(chosen, f.name) for f in fields(Recipe)})
    chosen.work.mkdir(parents=True, exist_ok=True)
    speaker, fold = _left_out(chosen.leave_out)
    takes = TAKES if chosen.leave_out else 0
    pool = read_pool(chosen.audio, "train", speaker=speaker, fold=fold, takes=takes, seeds=chosen.seeds)
    make_all(chosen.seeds)
    trained, head = None, None
    if chosen.begin:
        trained, tokenizer = read_folder(chosen.begin / "model")
        if (chosen.begin / "state.pt").is_file():
            head = read_head(chosen.begin / "state.pt")
    else:
        tokenizer = make_tokenizer(list(texts(read_pool(None, "train", seeds=chosen.seeds))))
    device = torch.device(chosen.device)
    file, facts = chosen.work / "state.pt", chosen.work / "recipe.json"
    if facts.is_file():
        recipe = Recipe(**json.loads(facts.read_text(encoding="utf-8")))
    elif chosen.minutes:
        recipe = _by_the_clock(recipe, pool, tokenizer, device, chosen)
    facts.write_text(json.dumps(asdict(recipe)), encoding="utf-8")
    before = json.loads((chosen.begin / "about.json").read_text(encoding="utf-8")) if chosen.begin else None
    if before is not None and before["left_out"] != chosen.leave_out:
        parser.error(f"{chosen.begin} left out {before['left_out']}: what it has heard can't be left out any more")
    if file.is_file():
        state = resume(recipe, tokenizer, file, device)
    else:
        state = start(recipe, tokenizer, device, trained, head)
    log = log_lines(chosen.work / "log.jsonl", 100)

    def after(state: State, losses: dict[str, float]) -> None:
        log(state, losses)
        if state.step % chosen.every == 0 or state.step == recipe.steps:
            save(state, recipe, file)

    train(state, recipe, pool, tokenizer, device, workers=chosen.workers, after=after)
    write_folder(chosen.work / "model", state.mean.cpu(), tokenizer, make_extractor())
    about: dict[str, Any] = {
        "recipe": asdict(recipe),
        "begun_from": _stages(before),
        "left_out": chosen.leave_out,
        "seeds": chosen.seeds,
        "trained_on_sha256": sorted({c.sha256 for c in pool.used}),
    }
    test = read_pool(chosen.audio if chosen.leave_out else None, "test", speaker=speaker, fold=fold)
    known = read_pool(chosen.audio, "takes", speaker=speaker, takes=takes) if takes and chosen.audio else None
    model = load(str(chosen.work / "model"), device=chosen.device)
    long = long_figures(model, test, max(1, chosen.measure // 2))
    about["held_out"] = figures(model, test, known, chosen.measure) | long
    (chosen.work / "about.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def _stages(before: dict[str, Any] | None) -> list[Any]:
    """Recipes of the runs that came before, first one first."""
    if before is None:
        return []
    earlier = before["begun_from"] or []
    return [*([earlier] if isinstance(earlier, dict) else earlier), before["recipe"]]  # once it was one recipe or none


def _left_out(text: str | None) -> tuple[str | None, int | None]:
    if text is None:
        return None, None
    speaker, _, fold = text.partition(":")
    return speaker, int(fold)


def _by_the_clock(recipe: Recipe, pool: Any, tokenizer: Any, device: torch.device, chosen: Any) -> Recipe:
    """As many steps as fit into ``--minutes``, from the speed of a few with sounds of all lengths."""
    trial = replace(recipe, steps=2 * SPEED_STEPS)
    state, times = start(trial, tokenizer, device), []

    def after(state: State, losses: dict[str, float]) -> None:
        times.append(time.perf_counter())

    train(state, trial, pool, tokenizer, device, workers=chosen.workers, after=after)
    per_step = (times[-1] - times[SPEED_STEPS - 1]) / (len(times) - SPEED_STEPS)
    return replace(recipe, steps=max(100, int(60 * chosen.minutes / per_step)))


if __name__ == "__main__":
    main()
