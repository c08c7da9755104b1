"""Run every benchmark and write docs/benchmarks.md from what they print. Takes about an hour and a quarter."""

from __future__ import annotations

import argparse
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

from common import child

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"

INTRODUCTION = """\
# Benchmarks

Made by `python benchmarks/write_page.py` on {day}, on a 2-core x86-64 laptop-class CPU, one thread each. Read the
*ratios*: both sides of each come from one run on one machine. The seconds are for orientation, and no test asserts any.
Every script takes `--json` and `--help`.
"""

SECTIONS = (
    (
        "Starting",
        "imports.py",
        (),
        "Neither `import otoscope` nor `otoscope --help` imports torch, and both stay under half a second (the script "
        "fails otherwise).",
    ),
    (
        "Stimuli",
        "stimuli.py",
        ("--n", "16"),
        "Triplets (four sounds of 2 s) per second, in each condition. Within a run the noise of a seed, and its "
        "transformed version, are made once for all signal-to-noise ratios; here every seed is new.",
    ),
    (
        "The paper's grid",
        "bmld_grid.py",
        ("--seeds", "1"),
        "`otoscope run` on 6 frequencies by 21 signal-to-noise ratios, report included, with 1 and with 10 of the 100 "
        "seeds. Time for all seeds is extrapolated; memory is not: it must not grow with seeds.",
    ),
    (
        "The nine encoders",
        "encoders.py",
        ("--repeats", "7"),
        "Frames per second of the nine architectures of the study at their published sizes, random weights, on 10 s of "
        "sound: the network alone and inside Otoscope's wrapper. The wrapper may cost at most 3 %.",
    ),
    (
        "Probes",
        "probes.py",
        (),
        "Scoring one encoder on four miniature tasks by the protocol xares-0.1.3, and, where `--xares` names X-ARES' "
        "own folder, by X-ARES itself on the same archives: pooled vectors, MLP (mean over five seeds), kNN, and the "
        "seconds that reading, MLP and kNN take. The second table is the encoding pass: a shard of `run encoders` "
        "(decode, resample, mix, features, encode, pool, keep) against the network alone on inputs that are ready, "
        "random weights; the target is 0.97.",
    ),
    (
        "LSAC and its rivals",
        "lsac.py",
        ("--size", "small", "base", "large", "--seconds", "10", "30", "60", "--repeats", "3"),
        "One solve of SAM Audio's network in its published sizes, random weights, Euler's method in 16 steps, float32, "
        "without codec and text encoder, under each method. LSAC reuses the maps of a third or all of the layers from "
        "a quarter of the flow on. *Saved wall re saved FLOPs* is the share of wall time saved over the share of "
        "operations saved; the target is 0.9. It can exceed 1, because softmax, norms and rotations are in no account "
        "of operations and a reused map saves them too. *From* says what was run: whole solves, or evaluations or "
        "single layers of which a solve is composed. Peaks are of whole processes, weights (0.89 GB) included. The "
        "second table is the intervention engine by itself, on the small network: hooks that only look may cost at "
        "most 3 %, and with nothing entered every module is called as it is without (the script fails otherwise).",
    ),
    (
        "LSAC's memory",
        "lsac.py",
        (
            "--size",
            "small",
            "--seconds",
            "10",
            "30",
            "--clock",
            "cpu",
            "--by",
            "layers",
            "--engine-pairs",
            "0",
            "--repeats",
            "2",
        ),
        "Peaks are of whole processes, weights (0.89 GB) included, in which the whole network did one "
        "evaluation of each kind. A kept map is what costs: it grows with the square of the length. Times are"
        " composed of the costs of one layer, and flatter caching: beside the table above, which has whole "
        "evaluations, they show more saved by LSAC.",
    ),
    (
        "LSAC at 60 s",
        "lsac.py",
        ("--size", "small", "--seconds", "60", "--clock", "cpu", "--no-peaks", "--engine-pairs", "0", "--repeats", "2"),
        "The same with 60 s of sound, composed of the measured costs of one layer and of the rest: nobody ran"
        " a whole evaluation. Two rounds on a machine that others used, so that a method which saves little "
        "is known badly (*its range*). Composed of layers, caching looks better than it is (see above).",
    ),
    (
        "LSAC in the larger networks",
        "lsac.py",
        (
            "--size",
            "base",
            "large",
            "--seconds",
            "10",
            "--clock",
            "cpu",
            "--no-peaks",
            "--engine-pairs",
            "0",
            "--repeats",
            "2",
        ),
        "SAM Audio base and large, 10 s of sound, composed of per-layer costs in the same way: neither "
        "network was run whole. 30 and 60 s were not measured.",
    ),
    (
        "Pruning and eviction",
        "pruning.py",
        ("--idle",),
        "One prompt of 90 s (2,250 tokens of sound, 60 of text) in a decoder of Qwen2.5-Omni-3B's widths, random "
        "weights, 4 of 36 layers, bfloat16, one thread; pruners act at layer 2, everything keeps 0.3. The audio "
        "encoder is not in it. *FLOPs re none* counts the layers that ran; *speed-up re FLOPs* is the measured "
        "speed-up over theirs (target: 0.9). *Scoring share* is what choosing costs of the prefill (target: below "
        "0.01 of a whole model's for headrouter and fastv). *Whole (composed)* figures are composed of the "
        "measured layers for 36 layers, which nobody ran. *Token* is the time of a token after the prompt. Peaks "
        "are of the whole process, weights included. The second table keeps everything: hooks with nothing to do.",
    ),
    (
        "Longer sound",
        "pruning.py",
        (
            "--layers",
            "3",
            "--rounds",
            "2",
            "--steps",
            "4",
            "--seconds",
            "180",
            "300",
            "--methods",
            "prune/frame",
            "prune/fastv",
            "headrouter",
            "evict/snapkv",
            "evict/h2o",
        ),
        "The same with 180 and 300 s, 3 layers.",
    ),
    (
        "Wider decoder",
        "pruning.py",
        (
            "--size",
            "7b",
            "--layers",
            "3",
            "--rounds",
            "2",
            "--steps",
            "4",
            "--seconds",
            "90",
            "300",
            "--methods",
            "prune/frame",
            "prune/fastv",
            "headrouter",
            "evict/snapkv",
        ),
        "The same in the widths of Qwen2.5-Omni-7B, 3 of 28 layers; *whole (composed)* figures are for 28.",
    ),
    (
        "A sweep on long recordings",
        "marathon.py",
        (),
        "8 settings (the bare model, five pruners, two evictors) on 12 recordings of 90, 180 and 300 s with the "
        "bundled audio language model, against the straightforward loop that reads the item and calls `generate` "
        "for every setting. With a share *s* of the loop's time in what settings can share (reading, features, "
        "audio encoder) no sharing is faster than 8 / (8 - 7 s); the target is 0.85 of that bound. Both give the "
        "same answers, or the script fails. Peaks are of whole processes; the last column is a run of half the "
        "items.",
    ),
    (
        "Memory of a long run",
        "marathon.py",
        ("--memory", "6", "24", "48", "--lengths", "90"),
        "Peak memory of whole processes that ask the bundled audio language model about 6, 24 and 48 recordings of "
        "90 s, bare and with one pruner: one, four and eight shards. It must not grow with the number of recordings.",
    ),
    (
        "Training an encoder",
        "training.py",
        (),
        "Clips per second of processor time of `otoscope train` against the library's `Trainer` on Audio Flamingo 3's "
        "class, every clip in a window of 30 s: the same clips of 1 to 5 s, the same sizes (an encoder of Whisper "
        "tiny's, a frozen language model of random weights), about as many clips a step. *Padding* is the share of the "
        "encoder's input that is silence put there. *Re plain* is the median over three rounds; the target is 3. The "
        "loader (decoding, log-mel, laying out) may take 5 % of the wall time. A tenth of our batches is filled up to "
        "a random length, so that the encoder is used in no way that it was not trained in; the last line is without.",
    ),
    (
        "Overhead",
        "overhead.py",
        ("--seeds", "8"),
        "Shares of the wall time of a run with one worker. *rest* is all that Otoscope adds to making sounds and "
        "running the model: hashing, scoring rows, writing them durably.",
    ),
    (
        "Kill soak",
        "soak_kill.py",
        ("--kills", "60"),
        "`SIGKILL` at random moments, resumed with another worker count each time, then compared row by row with an "
        "undisturbed run. Shorter versions, and kills inside every kind of write, are in the tests.",
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    titles = [title for title, *_ in SECTIONS]
    about = "measure these sections anew, each with its own day, and leave the rest as it is"
    parser.add_argument("--only", nargs="+", choices=titles, metavar="TITLE", help=about)
    only = parser.parse_args().only
    day = datetime.now(UTC).date().isoformat()
    if only:
        old = PAGE.read_text(encoding="utf-8").split("\n## ")
        introduction = old[0].rstrip() + "\n"
        known = {part.partition("\n")[0]: f"## {part.rstrip()}\n" for part in old[1:]}
    else:
        introduction, known = INTRODUCTION.format(day=day), {}
    for title, script, arguments, about in SECTIONS:
        if only and title not in only:
            continue
        command = [sys.executable, str(HERE / script), *arguments]
        table = child(command).output.strip()
        shown = " ".join(["python", f"benchmarks/{script}", *arguments])
        when = f"Measured on {day}. " if only else ""
        known[title] = "\n\n".join([f"## {title}", f"`{shown}`", textwrap.fill(when + about, 120), table]) + "\n"
        print(f"{script} done", flush=True)
    parts = [known[title] for title, *_ in SECTIONS if title in known]
    PAGE.write_text("\n".join([introduction, *parts]), encoding="utf-8")


if __name__ == "__main__":
    main()
