"""Put the encoders of the small proof into the package, in half precision, with what they were trained on.

``python tools/bundle_tiny_uniwhisper.py runs/uniwhisper --audio ../shared/audio/manifest.jsonl`` reads what
``tools/train_tiny_uniwhisper.py`` left in its folder: ``base`` and ``uni``, their logs, and the records. A folder that
has no log of ``base`` began at the package's, which stays as it is.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otoscope.audio.corpus import read_manifest
from otoscope.models.bundled.tiny_whisper import BASE, RESULT, WEIGHTS, about
from otoscope.training.uniwhisper.recipe import read_recipe
from otoscope.training.uniwhisper.records import Record

#: What is bundled, by the stage that trained it; one that continues another learned from its recordings too.
STAGES = {BASE: "base", RESULT: "uni"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="the folder of the training")
    parser.add_argument("--audio", type=Path, required=True, help="manifest.jsonl of the recordings")
    chosen = parser.parse_args()
    sums = {c.path.resolve(): c.sha256 for c in read_manifest(chosen.audio)}
    before: set[str] = set()
    for name, stage in STAGES.items():
        if stage == "base" and not (chosen.work / stage / "log.jsonl").is_file():
            before |= set(about(BASE)["trained_on_sha256"])
            continue
        found = _facts(chosen.work, stage, sums)
        before |= set(found["trained_on_sha256"])
        found["trained_on_sha256"] = sorted(before)
        _copy(chosen.work / stage / "encoder", WEIGHTS / name)
        (WEIGHTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _facts(work: Path, stage: str, sums: dict[Path, str]) -> dict[str, Any]:
    from safetensors.torch import load_file

    recipe = read_recipe(work / f"tiny-{stage}.toml")
    used: set[str] = set()
    made = 0
    for source in recipe.load_sources():
        for record in source.records:
            paths = [p for p in _paths(record) if p in sums]
            used |= {sums[p] for p in paths}
            made += not paths
    lines = [json.loads(x) for x in (work / stage / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    tensors = load_file(str(work / stage / "encoder" / "model.safetensors"))
    return {
        "recipe": recipe.to_json(),
        "steps": recipe.optimise.steps,
        "and": f" and {made} sounds and notes of the package's generator" if made else "",
        "parameters": sum(t.numel() for t in _encoder(tensors).values()),
        "held_out": next((x["held_out"] for x in reversed(lines) if "held_out" in x), {}),
        "seconds": lines[-1]["seconds"],
        "curve": [_short({k: x[k] for k in ("step", "loss", "shares", "held_out") if k in x}) for x in lines],
        "trained_on_sha256": sorted(used),
    }


def _short(x: Any) -> Any:
    if isinstance(x, Mapping):
        return {k: _short(v) for k, v in x.items()}
    return round(x, 3) if isinstance(x, float) else x


def _paths(record: Record) -> list[Path]:
    """The files that a record's sound is made of."""
    sound = record.sound
    return [p.path.resolve() for p in (sound.parts or (sound,)) if p.path is not None]


def _encoder(tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {n: t for n, t in tensors.items() if n.removeprefix("model.").startswith("encoder.")}


def _copy(source: Path, target: Path) -> None:
    from safetensors.torch import load_file, save_file

    if target.exists():
        shutil.rmtree(target)
    target.mkdir()
    for name in ("config.json", "preprocessor_config.json"):
        shutil.copyfile(source / name, target / name)
    tensors = load_file(str(source / "model.safetensors"))
    kept = {n: t.half().contiguous() for n, t in _encoder(tensors).items()}
    save_file(kept, str(target / "model.safetensors"), metadata={"format": "pt"})
    (target / "model.safetensors").chmod(0o644)


if __name__ == "__main__":
    main()
