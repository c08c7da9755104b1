"""UniWhisper at a small size, from nothing: a language model, a Whisper of speech alone, and what continues from it.

``python tools/train_tiny_uniwhisper.py data|lm|base|uni|all --audio ../shared/audio/manifest.jsonl --work
runs/uniwhisper``

``data`` writes the records, ``lm`` trains the text model that is then frozen, ``base`` an encoder on spoken digits
alone, and ``uni`` continues from it on speech, sounds and music. Each goes on where it stopped. Held out: two
speakers of the digits, a fold of ESC-10, two instruments, the package's voices, and seeds of its generator."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from otoscope.audio import generator
from otoscope.audio.binaural import child
from otoscope.audio.corpus import Clip, read_manifest, write_manifest
from otoscope.models.devices import seeded
from otoscope.training.audiolm.network import END, make_tokenizer
from otoscope.training.schedule import learning_rate
from otoscope.training.uniwhisper.collate import Layout
from otoscope.training.uniwhisper.recipe import read_recipe
from otoscope.training.uniwhisper.records import Record, read_records, write_records
from otoscope.training.uniwhisper.session import train
from otoscope.training.uniwhisper.templates import Bank

RECIPES = Path(__file__).parents[1] / "recipes"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
#: What no encoder of this tool is trained on.
SPEAKERS, FOLD, INSTRUMENTS = ("theo", "yweweler"), 4, ("clarinet", "glockenspiel")
SEEDS, STRINGS, VOICES = 60, 6000, 1500
#: Files of records; the base is trained on the first alone.
SOURCES = ("speech", "voices", "sound", "music")
_SAME = {"fire_crackling": "fire_crackle"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=["data", "lm", "base", "uni", "all"])
    parser.add_argument("--audio", type=Path, required=True, help="manifest.jsonl of recordings")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    chosen.work.mkdir(parents=True, exist_ok=True)
    stages = ["data", "lm", "base", "uni"] if chosen.stage == "all" else [chosen.stage]
    for stage in stages:
        {"data": lambda: data(chosen.audio, chosen.work), "lm": lambda: text_model(chosen.work)}.get(
            stage, lambda stage=stage: encoder(stage, chosen.work)
        )()


# --- records ----------------------------------------------------------------------------------------------------


def data(audio: Path, work: Path) -> None:
    write_records(speech(audio, work), work / "speech.jsonl")
    write_records(voices(audio, work), work / "voices.jsonl")
    write_records([*recorded(audio, work), *made("event", "sound")], work / "sound.jsonl")
    write_records([*made("note", "music"), *made("phrase", "music")], work / "music.jsonl")
    write_manifest(work / "esc10.jsonl", parts(audio))
    for name in SOURCES:
        records = read_records(work / f"{name}.jsonl")
        print(f"{name}: {len(records)} records, {sum(r.duration_s for r in records) / 3600:.2f} h")


def speech(audio: Path, work: Path) -> Iterator[dict[str, Any]]:
    """Strings of digits of one speaker."""
    for k in range(STRINGS):
        rng = child(0, "uniwhisper-string", k)
        yield from _string(f"digits-{k}", "asr", _digits(audio), work, rng, 6)


def voices(audio: Path, work: Path) -> Iterator[dict[str, Any]]:
    """Who of the speakers that are not held out says a few digits: what tells voices apart stays in the encoder."""
    by = {name: clips for name, clips in _digits(audio).items() if name not in SPEAKERS}
    for k in range(VOICES):
        rng = child(0, "uniwhisper-voice", k)
        yield from _string(f"voice-{k}", "speaker", by, work, rng, 3)


def _string(
    key: str, task: str, by: dict[str, list[Any]], work: Path, rng: np.random.Generator, longest: int
) -> Iterator[dict[str, Any]]:
    """A record of 1 to ``longest`` digits by one speaker, asked for the digits or for the speaker; none where it would
    last more than 6.5 s."""
    speaker = sorted(by)[int(rng.integers(len(by)))]
    clips = [by[speaker][int(i)] for i in rng.integers(len(by[speaker]), size=int(rng.integers(1, longest + 1)))]
    gaps = [round(float(g), 3) for g in rng.uniform(0.05, 0.4, len(clips) - 1)]
    seconds = sum(c.duration_s for c in clips) + sum(gaps)
    if seconds > 6.5:
        return
    said = " ".join(DIGITS[int(c.labels["digit"])] for c in clips)
    yield {
        "key": key, "task": task, "answer": said if task == "asr" else speaker,
        "parts": [{"path": os.path.relpath(c.path, work)} for c in clips], "gaps_s": gaps,
        "duration_s": round(seconds, 3),
        "domain": "speech", "dataset": "fsdd", "group": speaker, "license": "CC BY-SA 4.0",
        "split": "test" if speaker in SPEAKERS else "train",
    }  # fmt: skip


@cache
def _digits(audio: Path) -> dict[str, list[Any]]:
    """Recorded digits by speaker."""
    by: dict[str, list[Any]] = {}
    for clip in read_manifest(audio):
        if "digit" in clip.labels:
            by.setdefault(str(clip.labels["speaker"]), []).append(clip)
    return by


def recorded(audio: Path, work: Path) -> Iterator[dict[str, Any]]:
    """ESC-10."""
    for clip in read_manifest(audio):
        if clip.corpus == "esc10":
            label = str(clip.labels["sound"])
            yield {
                "key": clip.name, "task": "sound", "answer": word(_SAME.get(label, label)),
                "path": os.path.relpath(clip.path, work),
                "duration_s": clip.duration_s, "domain": "sound", "dataset": "esc10", "group": clip.group,
                "sha256": clip.sha256, "license": clip.license,
                "split": "test" if clip.labels["fold"] == FOLD else "train",
            }  # fmt: skip


def parts(audio: Path) -> Iterator[Clip]:
    """ESC-10 for a probe of recordings that no encoder of this tool was trained on: the fold held out is the test."""
    for clip in read_manifest(audio):
        if clip.corpus == "esc10":
            part = {FOLD: "test", FOLD - 1: "valid"}.get(int(clip.labels["fold"]), "train")
            yield replace(clip, labels={**clip.labels, "part": part})


def made(kind: str, domain: str) -> Iterator[dict[str, Any]]:
    """The package's generator: seeds that its probes do not use."""
    for label in generator.catalogue()[kind]:
        for seed in range(SEEDS):
            held = label in INSTRUMENTS or seed >= SEEDS - 5
            yield {
                "key": f"{kind}-{label}-{seed}", "answer": word(label),
                "task": "sound" if domain == "sound" else "instrument",
                "made": {"kind": kind, "label": label, "seed": seed}, "duration_s": 2.0, "domain": domain,
                "dataset": "generator", "group": f"{kind}:{label}", "split": "test" if held else "train",
            }  # fmt: skip


def word(label: str) -> str:
    return label.replace("_", " ")


# --- the text model ---------------------------------------------------------------------------------------------


def text_model(work: Path, steps: int = 1500, rows: int = 32) -> None:
    """A small causal model that answers instructions about *symbols*: where sound will stand, it sees the words of the
    answer, each repeated and among others' noise, and has to say them. So it knows every word and instruction, and no
    sound."""
    import transformers as tr

    if (work / "lm" / "config.json").is_file():
        return
    records = [r for n in SOURCES for r in read_records(work / f"{n}.jsonl")]
    bank = Bank.read().with_labels(records)
    texts = [f"{bank.instruction(r, 0, e)}\n{bank.answer(r, 0, e)}" for r in records[::7] for e in range(2)]
    tokenizer = make_tokenizer(texts, 600)
    tokenizer.eos_token = END
    config = tr.Qwen2Config(
        hidden_size=192, intermediate_size=480, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=len(tokenizer), max_position_embeddings=2048, tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.eos_token_id, bos_token_id=None,
    )  # fmt: skip
    with seeded(0):
        lm = tr.Qwen2ForCausalLM(config)
        for p in lm.parameters():
            if p.ndim > 1:
                nn.init.normal_(p, std=p.shape[-1] ** -0.5)
    layout = Layout(tokenizer, None, 4)
    optimiser = torch.optim.AdamW(lm.parameters(), lr=1e-3, weight_decay=0.02)
    began = time.perf_counter()
    for step in range(steps):
        rng = child(0, "uniwhisper-text", step)
        ids, labels, attention = _rows([_symbols(rng, records, bank, layout, step) for _ in range(rows)])
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(1e-3, 200, steps, step)
        logits = lm(input_ids=ids, attention_mask=attention, use_cache=False).logits[:, :-1]
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(lm.parameters(), 1.0)
        optimiser.step()
        if step % 100 == 99:
            print(f"text {step + 1}: {loss.item():.3f}, {time.perf_counter() - began:.0f} s", flush=True)
    lm.save_pretrained(work / "lm")
    tokenizer.save_pretrained(work / "lm")


def _symbols(
    rng: np.random.Generator, records: list[Record], bank: Bank, layout: Layout, step: int
) -> tuple[list[int], int]:
    """Tokens, and where the answer begins."""
    r = records[int(rng.integers(len(records)))]
    if r.task == "asr":
        answer = " ".join(DIGITS[int(d)] for d in rng.integers(10, size=int(rng.integers(1, 7))))
        heard = answer.split()
    else:
        answer = bank.answer(r, 0, step)
        heard = [answer]
    before, after = layout.text(bank.instruction(r, step, int(rng.integers(1000))))
    filler = layout._ids(" .")
    symbols: list[int] = list(filler) * int(rng.integers(0, 4))
    for said in heard:
        own = layout._ids(f" {said}")
        symbols += (
            [t for t in own for _ in range(int(rng.integers(1, 5)))]
            if r.task == "asr"
            else own * int(rng.integers(1, 8))
        )
        symbols += list(filler) * int(rng.integers(0, 4))
    answered = [*layout._ids(answer), layout.tokenizer.eos_token_id]
    return [*before, *symbols, *after, *answered], len(answered)


def _rows(found: list[tuple[list[int], int]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    width = max(len(t) for t, _ in found)
    ids = torch.zeros(len(found), width, dtype=torch.long)
    labels, attention = torch.full_like(ids, -100), torch.zeros_like(ids)
    for i, (tokens, n) in enumerate(found):
        ids[i, : len(tokens)] = torch.tensor(tokens)
        labels[i, len(tokens) - n : len(tokens)] = ids[i, len(tokens) - n : len(tokens)]
        attention[i, : len(tokens)] = 1
    return ids, labels, attention


# --- encoders ---------------------------------------------------------------------------------------------------


def encoder(stage: str, work: Path) -> None:
    """Train by the recipe of ``stage``; ``work/STAGE/encoder`` is the result."""
    recipe = work / f"tiny-{stage}.toml"
    shutil.copy(RECIPES / f"tiny-{'whisper' if stage == 'base' else 'uniwhisper'}.toml", recipe)
    train(read_recipe(recipe), work / stage, lambda line: print(json.dumps(line), flush=True))


if __name__ == "__main__":
    main()
