"""The other side of probes.py: encode and score one task with X-ARES itself, which lies outside this repository.

Run by an interpreter that has its light dependencies (webdataset, pytorch-ignite, loguru) in a folder where
``<name>/*.tar`` lie. Nothing of X-ARES is changed, but for two things: its globs are sorted (the order of a file system
is no part of a protocol), and where torchaudio is missing, soundfile stands in for its decoder; sounds are at the
encoder's rate, so that nothing is resampled. Writes what it stored and what it scored, with seconds, to ``--out``.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import io
import json
import shutil
import sys
import tarfile
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch


def stand_in() -> None:
    """torchaudio by soundfile, where there is none."""
    if importlib.util.find_spec("torchaudio") is not None:
        return
    import soundfile

    def load(name: str, *_: Any, **__: Any) -> tuple[torch.Tensor, int]:
        x, rate = soundfile.read(name, dtype="float32", always_2d=True)
        return torch.from_numpy(np.ascontiguousarray(x.T)), rate

    def resample(x: torch.Tensor, old: int, new: int) -> torch.Tensor:
        if old != new:
            raise SystemExit(f"torchaudio is missing, and a sound at {old} Hz would have to be resampled to {new} Hz")
        return x

    module, functional = types.ModuleType("torchaudio"), types.ModuleType("torchaudio.functional")
    module.load, functional.resample, module.functional = load, resample, functional  # type: ignore[attr-defined]
    spec = importlib.util.spec_from_loader("torchaudio", loader=None)
    module.__spec__ = spec
    sys.modules |= {"torchaudio": module, "torchaudio.functional": functional}


def stored(task: Any) -> dict[str, Any]:
    """Pooled vectors as its trainer makes them, by part (``train``, ``valid``, ``test``, or a fold), in stored order; a
    name that comes twice in a row is read once, as its reader does."""
    from xares.trainer import masked_mean

    config = task.config
    named = {config.train_split: "train", config.valid_split: "valid", config.test_split: "test"}
    found: dict[str, Any] = {}
    for split, pattern in task.encoded_tar_path_of_split.items():
        vectors = []
        for path in sorted(pattern.parent.glob(pattern.name)):
            last = None
            with tarfile.open(path) as tar:
                for member in tar:
                    if not member.name.endswith(".npy"):
                        continue
                    if member.name != last:
                        data = tar.extractfile(member)
                        assert data is not None
                        x = torch.from_numpy(np.load(io.BytesIO(data.read()))).T[None]
                        vectors.append(masked_mean(x, torch.tensor([x.shape[-1]]))[0].numpy())
                    last = member.name
        found[str(split) if config.k_fold_splits else named[split]] = np.stack(vectors)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--xares", type=Path, required=True, help="folder of the repository")
    parser.add_argument("--task", required=True, help="module of the task, such as esc50_task")
    parser.add_argument("--root", type=Path, required=True, help="folder that holds the task's folder")
    parser.add_argument("--encoder", type=Path, required=True, help="file with one *Encoder class")
    parser.add_argument("--seeds", type=int, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    stand_in()
    sys.path[:0] = [str(chosen.xares / "src"), str(chosen.encoder.parent)]
    import xares.audiowebdataset as reading
    from loguru import logger
    from xares.task import XaresTask

    logger.remove()
    unsorted = reading.expand_with_brace
    reading.expand_with_brace = lambda lists: sorted(unsorted(lists))
    encoder = importlib.import_module(chosen.encoder.stem).BandEncoder()
    module = importlib.import_module(f"tasks.{chosen.task}")
    make = next(getattr(module, n) for n in dir(module) if n.endswith("_config"))

    def task(seed: int) -> Any:
        config = make(encoder)
        config.env_root, config.seed, config.torch_num_threads = chosen.root, seed, 1
        config.force_retrain_mlp = True
        logger.remove()
        return XaresTask(config)

    first = task(chosen.seeds[0])
    (first.env_dir / ".audio_tar_ready").touch()
    start = time.perf_counter()
    first.make_encoded_tar()
    report: dict[str, Any] = {"encode_s": time.perf_counter() - start, "mlp": [], "mlp_s": [], "knn": None}
    for seed in chosen.seeds:
        own = task(seed)
        shutil.rmtree(own.ckpt_dir, ignore_errors=True)
        start = time.perf_counter()
        report["mlp"].append(float(own.run_mlp()[0]))
        report["mlp_s"].append(time.perf_counter() - start)
    own = task(chosen.seeds[0])
    start = time.perf_counter()
    report["knn"] = float(own.run_knn()[0])
    report["knn_s"] = time.perf_counter() - start
    np.savez(chosen.out.with_suffix(".npz"), **stored(first))
    chosen.out.write_text(json.dumps(report))


if __name__ == "__main__":
    main()
