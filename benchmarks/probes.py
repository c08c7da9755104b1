"""Scoring one encoder on four tasks: here and in X-ARES itself, same machine, archives, encoder and embeddings.

Archives are miniatures of four X-ARES tasks on generated sounds. X-ARES is run from its own folder (``--xares``, which
is no part of this repository, v0.1.3) by an interpreter that has webdataset, pytorch-ignite and loguru
(``--interpreter``). Compared are the pooled vectors, the MLP score (mean over seeds), the kNN score, and the seconds of
scoring: there reading the stored embeddings, MLP and kNN; here pooling the frames once, MLP and kNN by the protocol
xares-0.1.3. Without ``--xares`` that half is not measured, and says so.

The second table is the encoding pass of ``otoscope run encoders``: processor time of the network alone on inputs that
are ready, over that of the runner's shard, which decodes, resamples, mixes, makes features, encodes, pools and keeps.
1 would be free; the target is 0.97.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from band_encoder import BandEncoder
from common import child, options, show
from encoders import bare, timed
from otoscope.core.nouns import Embedded
from otoscope.experiments.execute import Bench, run_shard
from otoscope.interventions.none import NoIntervention
from otoscope.models.encoders.adapt import adapt
from otoscope.models.encoders.view import EncoderView
from otoscope.models.resolve import resolve
from otoscope.readouts import pooling
from otoscope.tasks.catalogue import resolve_condition, resolve_task
from otoscope.tasks.probes.catalog import xares_tasks
from otoscope.tasks.probes.miniature import write_miniature

HERE = Path(__file__).parent
#: Width, layers, mel bands of Whisper's encoders (arXiv 2212.04356, table 1).
WHISPERS = {"whisper-base": (512, 6, 80), "whisper-small": (768, 12, 80), "whisper-medium": (1024, 24, 80)}
#: Name, module there, clips a part, classes, seconds of the clips. Two that have folds and two that have splits; then,
#: where they are named, one of crops and one of events in time.
TASKS = (
    ("esc50", "esc50_task", 100, 20, (0.6, 1.0, 1.4)),
    ("gtzan_genre", "gtzan_task", 40, 10, (0.6, 1.0, 1.4)),
    ("vocalsound", "vocalsound_task", 300, 6, (0.6, 1.0, 1.4)),
    ("nsynthinstument", "nsynth_instument_task", 300, 11, (0.6, 1.0, 1.4)),
)
MORE = (
    ("freemusicarchive", "freemusicarchive_genre_task", 80, 8, (8.0, 18.0, 34.0)),
    ("desed", "desed_task", 160, 3, (10.0,)),
)


def data(root: Path, name: str, n: int, n_classes: int, seconds: tuple[float, ...]) -> None:
    """Archives at 16 kHz, in four shards where the task has shards."""
    write_miniature(xares_tasks()[name], root, n=n, n_classes=n_classes, shards=4, seconds=seconds, rates=(16_000,))


def theirs(root: Path, module: str, seeds: list[int], xares: Path, interpreter: str) -> tuple[Any, Any]:
    """What X-ARES reports, and its pooled vectors by split."""
    out = root / f"{module}.json"
    child([interpreter, str(HERE / "xares_child.py"), "--xares", str(xares), "--task", module, "--root", str(root),
           "--encoder", str(HERE / "band_encoder.py"), "--out", str(out), "--seeds", *map(str, seeds)])  # fmt: skip
    return json.loads(out.read_text()), dict(np.load(out.with_suffix(".npz")))


def ours(root: Path, name: str, seeds: list[int]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Scores by probe (MLP: one per seed) with seconds, and pooled vectors by part in stored order."""
    view: Any = EncoderView(adapt(BandEncoder))
    base = f"xares/{name}:data={root},protocol=xares-0.1.3"
    items = resolve_task(base).items()
    sounds = [i.inputs.render(16_000)["clip"] for i in items]
    frames = [e.frames["last"] for e in view.encode(sounds)]
    timed_events = xares_tasks()[name].kind == "frame"
    start = time.perf_counter()
    outputs = [
        Embedded({"last": {"clip": pooling.pool(f)}}, {}, {"last": {"clip": f[0]}} if timed_events else {}, 0.02)
        for f in frames
    ]
    pooled_s = time.perf_counter() - start
    found: dict[str, Any] = {"mlp": [], "mlp_s": []}
    for seed in seeds:
        score, took = scored(f"{base},probes=xares-mlp,seeds={seed}", outputs)
        found["mlp"].append(score)
        found["mlp_s"].append(took)
    knn = xares_tasks()[name].knn
    found["knn"], found["knn_s"] = scored(f"{base},probes=knn-xares", outputs) if knn else (None, 0.0)
    found["pool_s"] = pooled_s
    vectors: dict[str, Any] = {}
    for part in dict.fromkeys(i.target.part for i in items):
        own = sorted((k for k, i in enumerate(items) if i.target.part == part), key=lambda k: items[k].target.position)
        vectors[part] = np.stack([outputs[k].vectors["last"]["clip"] for k in own])
    return found, vectors


def scored(name: str, outputs: list[Embedded]) -> tuple[float, float]:
    """The score and the seconds of fitting and scoring."""
    task = resolve_task(name)
    items = task.items()
    start = time.perf_counter()
    rows = task.fit_readout(items, outputs)
    took = time.perf_counter() - start
    return float(np.mean([r.value for _, own in rows for r in own if r.metric == "score"])), took


def farthest(a: dict[str, Any], b: dict[str, Any]) -> float:
    """The greatest difference of a pooled value, re the greatest value. Other parts, or another number of vectors, end
    the benchmark."""
    sizes = [{part: len(x) for part, x in side.items()} for side in (a, b)]
    if sizes[0] != sizes[1]:
        raise SystemExit(f"other vectors are stored there than here: {sizes[0]}, {sizes[1]}")
    return max(float(np.abs(x - a[part]).max() / np.abs(x).max()) for part, x in b.items())


def scoring(name: str, module: str, n: int, n_classes: int, lengths: tuple[float, ...], chosen: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        data(root, name, n, n_classes, lengths)
        here, vectors = ours(root, name, chosen.seeds)
        seconds = here["pool_s"] + statistics.median(here["mlp_s"]) + here["knn_s"]
        row: dict[str, Any] = {
            "task": name,
            "clips": sum(map(len, vectors.values())),
            "MLP here": float(np.mean(here["mlp"])),
            "MLP there": None,
            "kNN here": here["knn"],
            "kNN there": None,
            "pooled, greatest difference re greatest value": None,
            "scoring here, s": seconds,
            "scoring there, s": None,
            "there re here": None,
        }
        if chosen.xares is not None:
            there, other = theirs(root, module, chosen.seeds, chosen.xares, chosen.interpreter)
            took = statistics.median(there["mlp_s"]) + there["knn_s"]
            row |= {
                "MLP there": float(np.mean(there["mlp"])),
                "kNN there": None if here["knn"] is None else there["knn"],
                "pooled, greatest difference re greatest value": farthest(other, vectors),
                "scoring there, s": took,
                "there re here": took / seconds,
            }
        return row


def whisper(folder: Path) -> Path:
    """A folder that describes a Whisper of a published size, without weights."""
    from transformers import WhisperConfig, WhisperFeatureExtractor

    width, layers, mels = WHISPERS[folder.name]
    sides = ("encoder", "decoder")
    sizes = {f"{s}_{k}": v for s in sides for k, v in
             (("layers", layers), ("attention_heads", width // 64), ("ffn_dim", 4 * width))}  # fmt: skip
    WhisperConfig(d_model=width, num_mel_bins=mels, architectures=["WhisperModel"], **sizes).save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=mels).save_pretrained(folder)
    return folder


def encoding(name: str, seconds: float, repeats: int) -> dict[str, Any]:
    """The network alone, in one batch, against a shard of a run: both hear the same four clips."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        place = whisper(root / name) if name in WHISPERS else name
        view: Any = resolve(f"{place}:init=random,seed=1")
        view.load()
        write_miniature(
            xares_tasks()["vocalsound"], root, n=4, n_classes=2, shards=1, seconds=(seconds,), rates=(16_000,)
        )
        task = resolve_task(f"xares/vocalsound:data={root}")
        items = task.items()[:4]
        heard = np.stack([i.inputs.render(view.card.rate)["clip"].samples for i in items])
        alone = bare(name, view.encoder, heard)
        bench = Bench(task, resolve_condition("intact"), view, NoIntervention())

        def whole() -> None:
            if run_shard(bench, items).n_failed:
                raise SystemExit(f"{name}: items failed")

        with torch.inference_mode():
            alone()
            whole()
            pairs = [(timed(alone), timed(whole)) for _ in range(repeats)]
    ratios = [a[1] / b[1] for a, b in pairs]
    return {"model": name, "sound, s": seconds, "network re run, processor time": statistics.median(ratios),
            "range": f"{min(ratios):.3f} to {max(ratios):.3f}"}  # fmt: skip


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--xares", type=Path, help="folder of X-ARES v0.1.3; without it that half is not measured")
    parser.add_argument("--interpreter", default=sys.executable, help="Python that has X-ARES' dependencies")
    parser.add_argument("--seeds", type=int, nargs="+", default=[42, 43, 44, 45, 46])
    parser.add_argument("--tasks", nargs="*", default=[t[0] for t in TASKS])
    parser.add_argument("--models", nargs="*", default=["whisper-base", "wav2vec2-large"])
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the sounds that are encoded")
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for one in (*TASKS, *MORE):
        if one[0] in chosen.tasks:
            rows.append(scoring(*one, chosen))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)  # a long run shows what it has
    if rows:
        show(rows, chosen.json)
        if chosen.xares is None:
            print("\nX-ARES: not measured. Name the folder of its repository with --xares.")
        print()
    if chosen.models:
        show([encoding(m, chosen.seconds, chosen.repeats) for m in chosen.models], chosen.json)


if __name__ == "__main__":
    main()
