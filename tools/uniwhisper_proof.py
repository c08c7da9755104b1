"""UniWhisper's matched runs: three seeds of a short recipe, and what changes when one part of it is taken away.

``python tools/uniwhisper_proof.py --audio ../shared/audio/manifest.jsonl --work runs/uniwhisper``

Everything begins at the encoder ``tiny-whisper-base`` of the package. ``data`` and ``lm`` are those of
``tools/train_tiny_uniwhisper.py``; ``decoder`` trains a Whisper decoder on the digits that the base knows, with the
base held still, so that "Whisper's own decoder" is one that has learned to read this encoder. Each run is
``recipes/tiny-uniwhisper.toml`` cut to ``--steps`` (its schedule ends there): ``kept`` as it is, ``matched`` without
the question who speaks and without distillation, the others changed from ``matched`` in what their names say. Finished
runs are passed over and a stopped one goes on, so the same command may be given again; ``probe`` reads all encoders by
``otoscope run encoders``, ``forget`` by that decoder, which knows none of them but the base.
``python tools/uniwhisper_matched.py runs/uniwhisper`` prints tables.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from otoscope.models.bundled.tiny_whisper import BASE, WEIGHTS

TOOLS = Path(__file__).parent
RECIPES = TOOLS.parent / "recipes"
STEPS, DECODER_STEPS = 1000, 800
#: What reads all runs that are finished.
STAGES = ("probe", "forget")

Change = tuple[str, str]
_SPEECH = '[[sources]]\nname = "digits"\nmanifest = "speech.jsonl"\ngroup = "speech"\n\n'
_VOICES = '[[sources]]\nname = "voices"\nmanifest = "voices.jsonl"\ngroup = "speech"\n\n'
_LM = 'source = "lm"\nkind = "frozen"'
#: What the recipe does against forgetting beside replaying speech, taken away.
_PLAIN: Sequence[Change] = ((_VOICES, ""), ("distil = 5.0\n", ""))
#: Name of a run -> seed, and what is replaced in the recipe's text.
RUNS: Mapping[str, tuple[int, Sequence[Change]]] = {
    "kept-1": (1, ()),
    "kept-2": (2, ()),
    "kept-3": (3, ()),
    "matched-1": (1, _PLAIN),
    "matched-2": (2, _PLAIN),
    "matched-3": (3, _PLAIN),
    "no-replay": (1, (*_PLAIN, (_SPEECH, ""), ("shares = { speech = [0.5, 0.4] }\n", ""))),
    "trainable": (1, (*_PLAIN, (_LM, 'source = "lm"\nkind = "trainable"'))),
    "own-decoder": (1, (*_PLAIN, (_LM, 'source = "whisper"\nkind = "whisper"'), ("ctc = 0.5\n", ""))),
    "no-ctc": (1, (*_PLAIN, ("ctc = 0.5\n", ""))),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True, help="manifest.jsonl of recordings")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS, help="of each run")
    parser.add_argument("--only", nargs="*", choices=["decoder", *RUNS, *STAGES], help="default: everything")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    work: Path = chosen.work
    work.mkdir(parents=True, exist_ok=True)
    tiny = _tool("train_tiny_uniwhisper")
    if not all((work / f"{name}.jsonl").is_file() for name in tiny.SOURCES):
        tiny.data(chosen.audio, work)
    tiny.text_model(work)
    begin(work)
    wanted = chosen.only or ["decoder", *RUNS, *STAGES]
    if "decoder" in wanted:
        decoder(work)
    for name in RUNS:
        if name in wanted:
            run(name, work, chosen.steps)
    if "probe" in wanted:
        probe(work)
    if "forget" in wanted:
        forget(work)


def _tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def begin(work: Path) -> None:
    """The base where the recipe looks for it."""
    target = work / "base" / "encoder"
    if not target.is_dir():
        target.parent.mkdir(exist_ok=True)
        shutil.copytree(WEIGHTS / BASE, target)


def recipe_of(changes: Sequence[Change]) -> str:
    """The small recipe with texts replaced; each must be there once."""
    text = (RECIPES / "tiny-uniwhisper.toml").read_text(encoding="utf-8")
    for old, new in changes:
        if text.count(old) != 1:
            raise ValueError(f"recipes/tiny-uniwhisper.toml has {text.count(old)} times {old!r}")
        text = text.replace(old, new)
    return text


def run(name: str, work: Path, steps: int) -> None:
    """Train the run ``name`` to ``work/NAME/encoder``; CPU seconds of every call go to ``work/NAME/cpu.jsonl``."""
    from otoscope.training.uniwhisper.recipe import read_recipe
    from otoscope.training.uniwhisper.session import train

    if (work / name / "encoder" / "model.safetensors").is_file():
        return
    seed, changes = RUNS[name]
    cut = (("steps = 2800", f"steps = {steps}"), ("[run]\n", f"[run]\nseed = {seed}\n"))
    path = work / f"{name}.toml"
    path.write_text(recipe_of([*changes, *cut]), encoding="utf-8")
    before = _cpu()
    try:
        done = train(read_recipe(path), work / name, lambda line: print(name, json.dumps(line), flush=True))
        print(name, done, flush=True)
    finally:
        with (work / name / "cpu.jsonl").open("a", encoding="utf-8") as out:
            out.write(json.dumps({"cpu_s": _cpu() - before}) + "\n")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def decoder(work: Path, steps: int = DECODER_STEPS) -> None:
    """``work/whisper``: the base with a decoder of four layers that was trained to read it, on digits alone."""
    import transformers as tr

    from otoscope.training.uniwhisper.recipe import read_recipe
    from otoscope.training.uniwhisper.trainer import Trainer
    from otoscope.training.uniwhisper.watch import Watch

    if (work / "whisper" / "model.safetensors").is_file():
        return
    tokenizer = tr.AutoTokenizer.from_pretrained(work / "lm")
    if not (work / "drawn" / "model.safetensors").is_file():
        drawn(work, tokenizer)
    changes = (
        ("steps = 2800", f"steps = {steps}\nadapter_steps = {steps}"), ('source = "base/encoder"', 'source = "drawn"'),
        (_LM, 'source = "drawn"\nkind = "whisper"'), ("ctc = 0.5\n", ""), *_PLAIN,
        ('[[sources]]\nname = "sounds"\nmanifest = "sound.jsonl"\ngroup = "sound"\n\n', ""),
        ('[[sources]]\nname = "music"\nmanifest = "music.jsonl"\ngroup = "music"\n\n', ""),
        ("shares = { speech = [0.5, 0.4] }\n", ""),
    )  # fmt: skip
    path = work / "decoder.toml"
    path.write_text(recipe_of(changes), encoding="utf-8")
    recipe = read_recipe(path)
    trainer = Trainer(recipe, work / "decoder")
    told = Watch(trainer, recipe.load_sources("test"), lambda line: print("decoder", json.dumps(line), flush=True))
    trainer.run(told)
    whisper = tr.WhisperForConditionalGeneration.from_pretrained(work / "drawn")
    whisper.model.decoder.load_state_dict(trainer.listener.lm.decoder.state_dict())
    whisper.save_pretrained(work / "whisper")
    _beside(work, tokenizer, work / "whisper")


def drawn(work: Path, tokenizer: Any) -> None:
    """The base with a decoder of random weights, and the tokens of the text model with one more to start with."""
    import transformers as tr

    from otoscope.models.devices import seeded

    base = tr.WhisperModel.from_pretrained(work / "base" / "encoder", dtype=torch.float32)
    config = tr.WhisperConfig(**base.config.to_dict())
    config.decoder_layers, config.decoder_ffn_dim = 4, 768
    config.vocab_size, config.max_target_positions = len(tokenizer) + 1, 160
    config.decoder_start_token_id, config.bos_token_id = len(tokenizer), len(tokenizer)
    config.eos_token_id = config.pad_token_id = tokenizer.eos_token_id
    config.begin_suppress_tokens = config.suppress_tokens = None
    with seeded(0):
        whisper = tr.WhisperForConditionalGeneration(config)
    whisper.model.encoder.load_state_dict(base.encoder.state_dict())
    whisper.generation_config = tr.GenerationConfig.from_model_config(config)
    whisper.save_pretrained(work / "drawn")
    _beside(work, tokenizer, work / "drawn")


def _beside(work: Path, tokenizer: Any, folder: Path) -> None:
    tokenizer.save_pretrained(folder)
    shutil.copyfile(work / "base" / "encoder" / "preprocessor_config.json", folder / "preprocessor_config.json")


def finished(work: Path) -> list[str]:
    """Names of the runs that have an encoder."""
    return [name for name in RUNS if (work / name / "encoder" / "model.safetensors").is_file()]


def probe(work: Path) -> None:
    """``work/probes``: the base and every finished run, read by the tasks of the experiment ``encoders``."""
    from otoscope.experiments.experiment import load_experiment
    from otoscope.experiments.runner import run as read

    models = [BASE, *(str((work / name / "encoder").resolve()) for name in finished(work))]
    experiment = load_experiment("encoders", "small").override(models=models)
    read(experiment, into=work / "probes")


def forget(work: Path) -> None:
    """``work/forgetting.json``: loss per token and word errors of the base's decoder (:func:`decoder`) on digits, with
    the encoder of each run and with the base's own: of speakers that all were trained on, and of the package's voices.
    """
    import transformers as tr

    from otoscope.training.uniwhisper.forgetting import Forgetting
    from otoscope.training.uniwhisper.records import read_records
    from otoscope.training.uniwhisper.templates import Bank

    file = work / "forgetting.json"
    known: dict[str, dict[str, dict[str, float]]] = json.loads(file.read_text()) if file.is_file() else {}
    told = {name: known.get(name, {}) for name in finished(work)}
    if wanted := [name for name in told if name not in known]:
        for voices, records in (("trained on", read_records(work / "speech.jsonl")), ("never heard", unheard())):
            watched = Forgetting(work / "whisper", records, Bank.read(), torch.device("cpu"), clips=140)
            for name in wanted:
                whisper = tr.WhisperModel.from_pretrained(work / name / "encoder", dtype=torch.float32)
                told[name][voices] = watched.measure(whisper.encoder.state_dict())
                print(name, voices, told[name][voices], flush=True)
    file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def unheard() -> list[Any]:
    """The package's voices, a digit each, as records."""
    from otoscope.audio.speech import bundled_speech
    from otoscope.training.uniwhisper.records import Record, Sound

    words = _tool("train_tiny_uniwhisper").DIGITS
    return [
        Record(clip.name, "asr", words[int(clip.labels["digit"])], Sound(path=clip.path), clip.duration_s)
        for clip in bundled_speech()
        if "digit" in clip.labels
    ]


if __name__ == "__main__":
    main()
