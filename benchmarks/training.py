"""Clips per second of `otoscope train` against the plain loop: Audio Flamingo 3's class in the library's Trainer, every
clip in a window of 30 s.

Same clips (noise of 1 to 5 s in WAV files), same sizes and kinds of weights (an encoder of Whisper tiny's sizes, a
frozen language model of random weights), float32, one thread, no workers, about as many clips a step. Rounds alternate;
the gain is the median over rounds of the ratio of clips per second of processor time. Padding is the share of the
encoder's input that is silence put there, the loader's share is decoding, log-mel and laying out, of all wall time.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common import options, show
from otoscope.audio import io
from otoscope.core.audio import Audio
from otoscope.training.audiolm.network import END, make_tokenizer
from otoscope.training.uniwhisper.network import encoder_config
from otoscope.training.uniwhisper.recipe import read_recipe
from otoscope.training.uniwhisper.records import read_records, write_records
from otoscope.training.uniwhisper.trainer import Told, Trainer

RATE, ASKED = 16_000, "Which sound is this?"
PLAIN = "Trainer, 30 s windows"
WORDS = ("rain", "wind", "dog", "bell", "horn", "bird", "door", "clock", "train", "water")
RECIPE = """
[encoder]
source = "whisper"
[decoder]
source = "lm"
[[sources]]
name = "clips"
manifest = "clips.jsonl"
group = "sound"
[batch]
seconds = {seconds}
clips = {clips}
longest_s = 5.0
[optimise]
steps = 100000
warmup = 10
[run]
save_every = 100000
full_share = {full}
"""


@dataclass
class Round:
    """``loader_s`` of ``wall_s``; ``real`` of ``frames`` mel frames are sound."""

    clips: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    loader_s: float = 0.0
    real: float = 0.0
    frames: float = 0.0


def make(folder: Path, n: int, layers: int, width: int) -> None:
    """Clips with their manifest, and the two models that both sides begin from."""
    import transformers as tr

    rng = np.random.default_rng(0)
    rows = []
    for k in range(n):
        seconds = float(rng.uniform(1.0, 5.0))
        wave = 0.1 * rng.standard_normal((1, round(seconds * RATE)))
        io.write(folder / f"{k}.wav", Audio(wave.astype(np.float32), RATE))
        rows.append({
            "key": str(k), "task": "sound", "answer": WORDS[k % len(WORDS)], "instruction": ASKED, "path": f"{k}.wav",
            "duration_s": io.info(folder / f"{k}.wav").duration_s,
        })  # fmt: skip
    write_records(rows, folder / "clips.jsonl")
    torch.manual_seed(0)
    config = tr.WhisperConfig(
        d_model=width, encoder_layers=layers, encoder_attention_heads=6, encoder_ffn_dim=4 * width, num_mel_bins=80,
        decoder_layers=0, vocab_size=8, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
    )  # fmt: skip
    tr.WhisperModel(config).save_pretrained(folder / "whisper")
    tr.WhisperFeatureExtractor(feature_size=80).save_pretrained(folder / "whisper")
    tokenizer = make_tokenizer([ASKED, " ".join(WORDS)] * 9, 300)
    tokenizer.eos_token = END
    tokenizer.save_pretrained(folder / "lm")
    text = tr.Qwen2Config(
        hidden_size=256, intermediate_size=640, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=len(tokenizer), tie_word_embeddings=True, max_position_embeddings=2048,
    )  # fmt: skip
    tr.Qwen2ForCausalLM(text).save_pretrained(folder / "lm")


class Ours:
    """`otoscope train` with the batches of a recipe."""

    def __init__(self, folder: Path, clips: int, full: float) -> None:
        path = folder / f"ours-{full:g}.toml"
        path.write_text(RECIPE.format(seconds=3.0 * clips, clips=2 * clips, full=full), encoding="utf-8")
        self.trainer = Trainer(read_recipe(path), folder / f"run-{full:g}")
        self.round = Round()
        stream = self.trainer._stream
        self.trainer.save = lambda: None  # type: ignore[method-assign]

        def timed() -> Iterator[Any]:
            found = stream()
            while True:
                began = time.perf_counter()
                laid = next(found)
                self.round.loader_s += time.perf_counter() - began
                self.round.real += float(laid.frames.sum())
                self.round.frames += laid.mel.shape[0] * laid.mel.shape[-1]
                yield laid

        self.trainer._stream = timed  # type: ignore[method-assign]

    def steps(self, n: int) -> Round:
        self.round = Round()

        def after(told: Told) -> None:
            self.round.clips += sum(told.drawn.values())

        wall, cpu = time.perf_counter(), time.process_time()
        self.trainer.run(after, stop=self.trainer.step + n)
        self.round.wall_s, self.round.cpu_s = time.perf_counter() - wall, time.process_time() - cpu
        return self.round


class Plain:
    """The library's Trainer on the library's class, windows of 30 s, clips in random order."""

    def __init__(self, folder: Path, clips: int) -> None:
        import transformers as tr

        self.folder, self.clips = folder, clips
        self.tokenizer = tr.AutoTokenizer.from_pretrained(folder / "lm")
        self.extractor = tr.WhisperFeatureExtractor.from_pretrained(folder / "whisper")
        whisper = tr.WhisperModel.from_pretrained(folder / "whisper")
        lm = tr.Qwen2ForCausalLM.from_pretrained(folder / "lm")
        self.sound = len(self.tokenizer)  # one more token for places of sound
        text = tr.Qwen2Config(**{**lm.config.to_dict(), "vocab_size": self.sound + 1})
        config = tr.AudioFlamingo3Config(
            audio_config=encoder_config(whisper.config), text_config=text, audio_token_id=self.sound
        )
        self.model = tr.AudioFlamingo3ForConditionalGeneration(config)
        tower, decoder = self._part("audio_tower"), self._part("language_model")
        tower.load_state_dict(whisper.encoder.state_dict(), strict=True)
        decoder.requires_grad_(False)
        self.model.get_output_embeddings().requires_grad_(False)
        self.round = Round()
        self.records = read_records(folder / "clips.jsonl")

    def _part(self, name: str) -> Any:
        return next(m for n, m in self.model.named_modules() if n.rpartition(".")[2] == name)

    def collate(self, rows: Sequence[Any]) -> dict[str, torch.Tensor]:
        began = time.perf_counter()
        waves = [r.sound.load() for r in rows]
        made = self.extractor(
            waves, sampling_rate=RATE, return_tensors="pt", return_attention_mask=True, padding="max_length"
        )
        frames = made.attention_mask.sum(1)
        texts = []
        for r, n in zip(rows, frames.tolist(), strict=True):
            places = (((n - 1) // 2 + 1) - 2) // 2 + 1
            rendered = self.tokenizer.apply_chat_template(
                [{"role": "user", "content": f"<<sound>>\n{ASKED}"}], tokenize=False, add_generation_prompt=True
            )
            before, _, after = rendered.partition("<<sound>>")
            asked = [*self._ids(before), *[self.sound] * places, *self._ids(after)]
            texts.append((asked, [*self._ids(str(r.answer)), self.tokenizer.eos_token_id]))
        width = max(len(a) + len(b) for a, b in texts)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        labels, attention = torch.full_like(ids, -100), torch.zeros_like(ids)
        for i, (asked, answer) in enumerate(texts):
            whole = torch.tensor([*asked, *answer])
            ids[i, : len(whole)], attention[i, : len(whole)] = whole, 1
            labels[i, len(asked) : len(whole)] = whole[len(asked) :]
        self.round.real += float(frames.sum())
        self.round.frames += made.input_features.shape[0] * made.input_features.shape[-1]
        self.round.loader_s += time.perf_counter() - began
        return {
            "input_features": made.input_features, "input_features_mask": made.attention_mask, "input_ids": ids,
            "attention_mask": attention, "labels": labels,
        }  # fmt: skip

    def _ids(self, text: str) -> list[int]:
        found: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def steps(self, n: int) -> Round:
        import transformers as tr

        arguments = tr.TrainingArguments(
            output_dir=str(self.folder / "plain"), max_steps=n, per_device_train_batch_size=self.clips, report_to=[],
            save_strategy="no", logging_strategy="no", use_cpu=True, remove_unused_columns=False, disable_tqdm=True,
            learning_rate=3e-5, dataloader_pin_memory=False,
        )  # fmt: skip
        loop = tr.Trainer(self.model, arguments, data_collator=self.collate, train_dataset=list(self.records))
        loop.remove_callback(tr.PrinterCallback)
        self.round = Round()
        wall, cpu = time.perf_counter(), time.process_time()
        loop.train()
        self.round.clips = n * self.clips  # the loader is a batch ahead
        self.round.wall_s, self.round.cpu_s = time.perf_counter() - wall, time.process_time() - cpu
        return self.round


def row(name: str, rounds: Sequence[Round], gain: float) -> dict[str, Any]:
    def mean(top: str, bottom: str) -> float:
        return sum(getattr(r, top) for r in rounds) / sum(getattr(r, bottom) for r in rounds)

    return {
        "loop": name,
        "clips": sum(r.clips for r in rounds),
        "clips/s": mean("clips", "cpu_s"),
        "re plain": gain,
        "padding": 1.0 - mean("real", "frames"),
        "loader's share": mean("loader_s", "wall_s"),
    }


def main() -> None:
    from transformers.utils.logging import disable_progress_bar

    parser = options(__doc__)
    parser.add_argument("--clips", type=int, default=8, help="of a step")
    parser.add_argument(
        "--steps", type=int, default=6, help="of the plain loop in a round; ours makes three times that"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=384)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    disable_progress_bar()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, 240, chosen.layers, chosen.width)
        loops: dict[str, Plain | Ours] = {
            PLAIN: Plain(folder, chosen.clips),
            "otoscope train": Ours(folder, chosen.clips, 0.1),
            "otoscope train, full_share = 0": Ours(folder, chosen.clips, 0.0),
        }
        for loop in loops.values():
            loop.steps(2)
        rounds = {name: list[Round]() for name in loops}
        for _ in range(chosen.rounds):
            for name, loop in loops.items():
                rounds[name].append(loop.steps(chosen.steps * (3 if isinstance(loop, Ours) else 1)))
        speeds = {name: [r.clips / r.cpu_s for r in found] for name, found in rounds.items()}
        gains = {
            name: statistics.median(a / b for a, b in zip(found, speeds[PLAIN], strict=True))
            for name, found in speeds.items()
        }
        show([row(name, found, gains[name]) for name, found in rounds.items()], chosen.json)


if __name__ == "__main__":
    main()
