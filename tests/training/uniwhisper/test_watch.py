"""What is looked at while a run goes: forgetting by the original decoder, a probe through the store, TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from otoscope.core.errors import ModelError, UsageError
from otoscope.models.devices import seeded
from otoscope.results.store import Results
from otoscope.training.uniwhisper.forgetting import Forgetting
from otoscope.training.uniwhisper.recipe import read_recipe
from otoscope.training.uniwhisper.records import Record, Sound
from otoscope.training.uniwhisper.session import train
from otoscope.training.uniwhisper.templates import Bank

CPU = torch.device("cpu")


def speech(tmp_path: Path, n: int = 3) -> list[Record]:
    from otoscope.audio import io
    from otoscope.core.audio import Audio

    found = []
    for k in range(n):
        wave = 0.1 * np.random.default_rng(k).standard_normal((1, 8_000 + 4_000 * k)).astype(np.float32)
        io.write(tmp_path / f"said{k}.wav", Audio(wave, 16_000))
        words = ("one", "two three", "three")[k % 3]
        there = Sound(path=tmp_path / f"said{k}.wav")
        found.append(Record(f"r{k}", "asr", words, there, 0.5 + 0.25 * k, language="en"))
    return found


def test_the_loss_is_whispers_own_and_rises_where_the_encoder_is_another(whole: Path, tmp_path: Path) -> None:
    import transformers as tr

    records = speech(tmp_path)
    watched = Forgetting(whole, records, Bank.read(), CPU)
    own = {n: t.clone() for n, t in watched.whisper.model.encoder.state_dict().items()}
    same = watched.measure(own)
    assert same["loss"] == same["loss_before"] == watched.before["loss"]
    assert same["wer"] == same["wer_before"] > 0
    # The library's own loss, of each record by itself.
    whisper = tr.WhisperForConditionalGeneration.from_pretrained(whole).eval()
    total, n = 0.0, 0
    for r in records:
        prompt, said = watched.prompt(r), watched._tokens(str(r.answer))
        labels = torch.tensor([[-100] * (len(prompt) - 1) + said])
        ids = torch.tensor([[*prompt, *said[:-1]]])
        mel = watched.extractor(r.sound.load(), sampling_rate=16_000, return_tensors="pt").input_features
        with torch.no_grad():
            total += float(whisper(mel, decoder_input_ids=ids, labels=labels).loss) * len(said)
        n += len(said)
    assert same["loss"] == pytest.approx(total / n, rel=1e-4)
    moved = watched.measure({n: t + 0.5 if n == "layer_norm.bias" else t for n, t in own.items()})
    assert moved["loss"] != same["loss"]
    assert moved["loss_before"] == same["loss_before"]
    with pytest.raises(ModelError, match="reads another encoder"):
        watched.measure({n: t for n, t in own.items() if "conv1" not in n})
    with pytest.raises(UsageError, match="there is none"):
        Forgetting(whole, [], Bank.read(), CPU)


def test_a_decoder_that_answers_right_has_no_word_errors(whole: Path, tmp_path: Path) -> None:
    """Taught one transcript by heart, it says it; the encoder's part in it is then taken away."""
    watched = Forgetting(whole, speech(tmp_path, 1), Bank.read(), CPU)
    decoder = watched.whisper.model.decoder.requires_grad_(True)
    optimiser = torch.optim.Adam(decoder.parameters(), lr=0.02)
    prompt, states = tuple(watched.prompt(watched.records[0])), watched._states(watched.records)
    said = watched._tokens("one")
    for _ in range(60):
        logits = watched._logits(torch.tensor([[*prompt, *said[:-1]]]), states)[0, len(prompt) - 1 :]
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(said))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    found = watched._measure()
    assert found["wer"] == 0
    assert found["loss"] < 0.1


def test_whispers_tokenizer_brings_whispers_prompt(whole: Path, tmp_path: Path) -> None:
    import transformers as tr

    plain = tr.AutoTokenizer.from_pretrained(whole)
    told = json.loads(plain.backend_tokenizer.to_str())["model"]
    tokenizer = tr.WhisperTokenizer(vocab=told["vocab"], merges=[tuple(m) for m in told["merges"]])
    special = ["<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>", "<|notimestamps|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": special})
    config = tr.WhisperConfig.from_pretrained(whole)
    config.vocab_size = len(tokenizer)
    with seeded(0):
        tr.WhisperForConditionalGeneration(config).save_pretrained(tmp_path / "w")
    tokenizer.save_pretrained(tmp_path / "w")
    tr.WhisperFeatureExtractor.from_pretrained(whole).save_pretrained(tmp_path / "w")
    watched = Forgetting(tmp_path / "w", speech(tmp_path, 1), Bank.read(), CPU)
    wanted = ["<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>"]
    assert watched.tokenizer.convert_ids_to_tokens(watched.prompt(watched.records[0])) == wanted


def test_a_run_is_watched(whole: Path, recipe: Callable[..., Path], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (tmp_path / "whole").symlink_to(whole)
    more = 'forgetting = "whole"\nprobe_every = 10\nprobes = ["probes/notes:probes=knn-cosine,seeds=0"]'
    path = recipe(
        "watched", ('source = "whisper"', 'source = "whole"'), ("log_every = 5", f"log_every = 4\n{more}")
    )  # fmt: skip
    held = {"key": "held", "task": "asr", "answer": "one two", "path": "8.wav", "split": "test"}
    known = [json.loads(line) for line in (tmp_path / "sound.jsonl").read_text("utf-8").splitlines()]
    held["duration_s"] = next(r["duration_s"] for r in known if r["path"] == "8.wav")
    with (tmp_path / "speech.jsonl").open("a", encoding="utf-8") as out:
        out.write(json.dumps(held) + "\n")
    train(read_recipe(path), tmp_path / "run")
    text = (tmp_path / "run" / "log.jsonl").read_text("utf-8")
    lines: list[dict[str, Any]] = [json.loads(x) for x in text.splitlines()]
    assert [x["step"] for x in lines] == [4, 5, 8, 10]  # every fourth, and every fifth that is evaluated
    assert ["forgetting" in x for x in lines] == [False, True, False, True]
    first, last = lines[1]["forgetting"], lines[3]["forgetting"]
    assert first["loss_before"] == last["loss_before"]
    assert last["loss"] != last["loss_before"]
    assert set(lines[3]["held_out"]) == {"asr", "sound"}
    ((name, score),) = lines[3]["probes"].items()
    assert name.startswith("probes/notes")
    stored = Results.open(tmp_path / "run" / "probes" / "step-00000010")
    assert [str(c.task).partition(":")[0] for c in stored.cells()] == ["probes/notes"]
    assert 0 <= score <= 1
    (file,) = (tmp_path / "run" / "tensorboard").glob("events*")
    events = EventAccumulator(str(file))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {"loss/asr", "loss/sound", "shares/digits", "held_out/sound", "forgetting/wer", "clips_per_s"} <= tags
    assert [e.step for e in events.Scalars("forgetting/loss")] == [5, 10]
    assert events.Scalars(f"probes/{name}")[0].value == pytest.approx(score)
