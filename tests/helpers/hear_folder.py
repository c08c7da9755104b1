"""Write a miniature task folder in HEAR's form, on generated sounds."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from otoscope.audio import generator, io
from otoscope.audio.resample import resample


def write_hear_task(
    folder: Path,
    *,
    splits: Sequence[str] = ("train", "valid", "test"),
    embedding_type: str = "scene",
    prediction_type: str = "multiclass",
    rates: Sequence[int] = (16_000, 48_000),
    n: int = 8,
    n_classes: int = 2,
    duration_s: float = 0.5,
) -> Path:
    """``n`` sounds of ``duration_s`` s a split; class k sounds like the k-th event of the generator."""
    names = list(generator.catalogue()["event"])[:n_classes]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labelvocabulary.csv").open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(["idx", "label"])
        writer.writerows(enumerate(names))
    for number, split in enumerate(splits):
        truth: dict[str, Any] = {}
        for k in range(n):
            label = names[k % n_classes]
            name = f"{split}-{k}.wav"
            made = generator.generate("event", label, 500 + 50 * number + k, 16_000, duration_s)
            for rate in rates:
                path = folder / str(rate) / split / name
                path.parent.mkdir(parents=True, exist_ok=True)
                io.write(path, resample(made, rate), subtype="PCM_16")
            if embedding_type == "event":
                truth[name] = [{"label": label, "start": 0.0, "end": 500.0 * duration_s}]
            elif prediction_type == "multilabel":
                truth[name] = names[: k % (n_classes + 1)]
            else:
                truth[name] = [label]
        (folder / f"{split}.json").write_text(json.dumps(truth), encoding="utf-8")
    about = {
        "task_name": folder.name,
        "version": "mini",
        "embedding_type": embedding_type,
        "prediction_type": prediction_type,
        "split_mode": "trainvaltest" if splits == ("train", "valid", "test") else "new_split_kfold",
        "splits": list(splits),
        "sample_duration": duration_s,
        "evaluation": ["top1_acc"],
    }
    (folder / "task_metadata.json").write_text(json.dumps(about), encoding="utf-8")
    return folder
