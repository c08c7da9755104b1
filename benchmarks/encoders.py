"""What our wrapper costs: frames per second of the nine encoders of the BMLD study, wrapped and bare, same weights.

Weights are random and sizes the published ones. Bare is the network itself on a tensor that is ready; wrapped is
``EncoderView.encode`` on sounds: channel policy, checks, front end where the library computes it outside the network,
conversion to arrays. Passes alternate, so both sides see the same machine; the cost is the median over pairs of the
ratio of processor time, which other load disturbs less than wall time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from common import options, show
from otoscope.core.audio import Audio
from otoscope.models.resolve import resolve

MODELS = (
    "wavjepa-nat",
    "gram-t",
    "spatial-ast",
    "dspast",
    "encodec-48khz",
    "dac",
    "hubert-large",
    "wavlm-large",
    "wav2vec2-large",
)


def bare(name: str, encoder: Any, heard: Any) -> Callable[[], Any]:
    """The network called as its own code calls it. ``heard`` is ``[1, C, n]`` at its rate."""
    x = torch.from_numpy(heard.copy())
    if name == "wavjepa-nat":
        from otoscope.models.encoders.wavjepa.windows import kept_steps, standardise, to_level

        network = encoder._model
        s = network.sizes
        kept = kept_steps(x.shape[-1], s.window, s.steps, encoder.card.rate)
        level = torch.nn.functional.pad(to_level(x), (0, max(0, len(kept) * s.window - x.shape[-1])))
        windows = [(standardise(level[..., i * s.window : (i + 1) * s.window]), k) for i, k in enumerate(kept)]
        return lambda: [network(window, count) for window, count in windows]
    if name in ("gram-t", "spatial-ast", "dspast"):
        return lambda: encoder._network(x)
    model = encoder._model
    inputs = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in encoder.family.prepare(heard.copy()).items()}
    if name == "encodec-48khz":
        return lambda: model.encode(inputs["input_values"])
    if name == "dac":
        return lambda: model.encoder(inputs["input_values"])
    return lambda: model(**inputs)


def measure(name: str, seconds: float, repeats: int) -> dict[str, Any]:
    view: Any = resolve(f"{name}:init=random,seed=1")
    view.load()
    card = view.card
    n = round(seconds * card.rate)
    sound = Audio((0.1 * np.random.default_rng(1).standard_normal((2, n))).astype(np.float32), card.rate)
    alone = bare(name, view.encoder, sound.samples[None, : card.channels])
    frames = view.encode([sound])[0].frames["last"].shape[1]
    torch.backends.mha.set_fastpath_enabled(False)  # as WavJEPA-Nat's wrapper does: both sides through the same kernels
    with torch.inference_mode():
        alone()
        pairs = [(timed(alone), timed(lambda: view.encode([sound]))) for _ in range(repeats)]
    wall = [statistics.median(side[0] for side in sides) for sides in zip(*pairs, strict=True)]
    return {
        "model": name,
        "frames": frames,
        "frames/s bare": frames / wall[0],
        "frames/s wrapped": frames / wall[1],
        "wrapped re bare, processor time": statistics.median(w[1] / b[1] for b, w in pairs),
    }


def timed(call: Callable[[], Any]) -> tuple[float, float]:
    """Wall and processor seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the sound")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", nargs="*", default=MODELS)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    show([measure(name, chosen.seconds, chosen.repeats) for name in chosen.models], chosen.json)


if __name__ == "__main__":
    main()
