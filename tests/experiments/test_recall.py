"""A second run, or another probe, of the same encoder hears nothing twice, and gets the same numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from otoscope.cli import cli
from otoscope.core.audio import Audio
from otoscope.core.naming import parse_spec
from otoscope.experiments.ask_encode import Heard
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.plan import Settings
from otoscope.experiments.recall import recall_of
from otoscope.experiments.runner import Summary, run
from otoscope.models.encoders.view import EncoderView
from otoscope.models.resolve import resolve
from otoscope.results.embeddings import EmbeddingStore
from otoscope.results.merge import merge
from otoscope.results.schema import COST_COLUMNS
from otoscope.results.shardfiles import Recalled

PROBE = "probes/voices:probes=xares-mlp,seeds=0,min_steps=20"
N = 140


def experiment(task: str, model: str = "logmel") -> Experiment:
    return Experiment("e", (Block((parse_spec(task),)),), models=(parse_spec(model),))


def go(folder: Path, into: str, task: str = PROBE, model: str = "logmel") -> Summary:
    return run(experiment(task, model), into=folder / into, settings=Settings(embeddings=folder / "kept"))


def values(done: Summary) -> list[dict[str, object]]:
    return done.results.rows().drop_columns(["cell", *COST_COLUMNS]).to_pylist()


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    folder = tmp_path_factory.mktemp("recall")
    return folder, go(folder, "first")


def test_a_second_run_encodes_nothing_and_gets_the_same_rows(first, monkeypatch):
    folder, done = first
    assert done.recalled == Recalled(0, N, 0)
    monkeypatch.setattr(EncoderView, "encode", None)  # whoever calls it fails
    again = go(folder, "second")
    assert again.recalled == Recalled(N, 0, 0)
    assert values(again) == values(done)


def test_another_probe_of_the_same_encoder_encodes_nothing(first, monkeypatch):
    folder, _ = first
    monkeypatch.setattr(EncoderView, "encode", None)
    other = go(folder, "other", "probes/voices:probes=knn-cosine linear,seeds=0")
    assert (other.recalled, other.n_failed) == (Recalled(N, 0, 0), 0)


def test_rows_of_kept_sounds_have_no_seconds_and_no_memory_of_encoding(first):
    folder, done = first
    again = go(folder, "costs")
    counts = []
    for name in ("seconds_render", "seconds_model", "peak_bytes"):
        counts.append([sum(r[name] is not None for r in s.results.rows().to_pylist()) for s in (done, again)])
    assert counts == [[N, N], [N, 0], [N, 0]]


def test_another_number_at_once_is_encoded(tmp_path):
    store = EmbeddingStore(tmp_path)
    view = resolve("tiny-wav2vec2")
    known = {recall_of(store, view, batch).bank.folder for batch in (16, 16, 8)}
    assert len(known) == 2
    assert len({recall_of(store, v, 16).bank.folder for v in (view, replace(view, batch=view.batch + 1))}) == 2


@pytest.mark.parametrize("model", ["logmel:pool=max", "mono-sum"])
def test_another_pooling_or_encoder_is_encoded(first, model):
    folder, _ = first
    assert go(folder, model.replace(":", "-"), model=model).recalled == Recalled(0, N, 0)


def test_a_damaged_file_is_told_encoded_anew_and_replaced(tmp_path):
    task = "probes/voices:probes=linear,seeds=0"
    done = go(tmp_path, "first", task)
    path = sorted((tmp_path / "kept").glob("*/??/*.safetensors"))[0]
    sound = path.read_bytes()
    path.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    events = []
    settings = Settings(embeddings=tmp_path / "kept")
    again = run(experiment(task), into=tmp_path / "second", settings=settings, emit=events.append)
    assert again.recalled.damaged == 1
    assert 0 < again.recalled.encoded <= 16
    assert again.recalled.stored == N - again.recalled.encoded
    assert [str(path) in e.note for e in events if e.kind == "damaged"] == [True]
    assert values(again) == values(done)
    assert go(tmp_path, "third", task).recalled == Recalled(N, 0, 0)


def test_counts_survive_a_merge_and_the_page_tells_them(first, tmp_path):
    _, done = first
    joined = merge([done.results.path], tmp_path / "joined")
    (cell,) = joined.cells()
    assert joined.progress(cell.cell).recalled == done.recalled
    from otoscope.report.run import Run
    from otoscope.report.sections.provenance import provenance

    assert f"{N} were encoded" in str(provenance(Run.read(done.results)))


def killed(folder: Path, into: str, fault: str | None) -> int:
    """A run in another process, killed at ``fault``."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OTOSCOPE_EMBEDDINGS": str(folder)}
    arguments = ["run", "encoders", "--preset", "quick", "--task", PROBE, "--model", "logmel", "--into", into, "--json"]
    code = f"import sys; from otoscope.cli import main; sys.exit(main({arguments!r}))"
    env |= {"OTOSCOPE_FAULT": fault} if fault else {}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=False).returncode


def test_encoding_that_was_killed_goes_on_within_the_shard(first, tmp_path):
    """The first shard has 64 sounds, in batches of 16; the third batch is killed as it is kept."""
    _, done = first
    kept = tmp_path / "kept"
    assert killed(kept, str(tmp_path / "run"), "store.artefact.before-rename:4") == -9  # about.json is the first
    assert len(list(kept.glob("*/??/*.safetensors"))) == 2
    assert killed(kept, str(tmp_path / "run"), None) == 0
    from otoscope.results.store import Results

    results = Results.open(tmp_path / "run")
    (cell,) = results.cells()
    assert results.progress(cell.cell).recalled == Recalled(32, N - 32, 0)
    assert results.rows(metrics=["score"], columns=["item", "metric", "value"]).to_pylist() == [
        {k: r[k] for k in ("item", "metric", "value")} for r in done.results.rows(metrics=["score"]).to_pylist()
    ]


def test_a_file_of_all_layers_answers_for_each_of_them(tmp_path):
    store = EmbeddingStore(tmp_path)
    view = resolve("tiny-wav2vec2:layer=all")
    rng = np.random.default_rng(0)
    sounds = [Audio(rng.standard_normal((1, 4000), dtype=np.float32) * np.float32(0.1), 16_000) for _ in range(3)]
    keys = [view.key(s) for s in sounds]
    every = recall_of(store, view, 16)
    found = [Heard(*x) for x in view.embed_frames(sounds)]
    every.keep(keys, found, frames=True)
    for layer in ("last", 0, 1, -1, -2):
        one = resolve(f"tiny-wav2vec2:layer={layer}")
        fresh = one.embed_frames(sounds)
        got = recall_of(store, one, 16).find(keys, frames=True)
        for heard, (vectors, frames, hop) in zip(got, fresh, strict=True):
            assert (list(heard.vectors), heard.hop_s) == (list(vectors), hop)
            assert all(np.array_equal(heard.vectors[k], vectors[k]) for k in vectors)
            assert all(np.array_equal(heard.frames[k], frames[k]) for k in frames)
    poorer = recall_of(store, resolve("tiny-wav2vec2"), 16)
    assert poorer.find(keys, frames=False)[0].frames == {}
    assert poorer.find(list(reversed(keys)), frames=False) is None
    assert (poorer.n_stored, poorer.n_encoded) == (3, 3)


def test_the_command_line_tells_and_lists(tmp_path):
    kept = str(tmp_path / "kept")
    arguments = ["run", "encoders", "--preset", "quick", "--task", PROBE, "--model", "logmel", "--embeddings", kept]
    for into, line in (("a", f"embeddings: 0 from the store, {N} encoded"), ("b", f"embeddings: {N} from the store")):
        done = CliRunner().invoke(cli, [*arguments, "--into", str(tmp_path / into)])
        assert done.exit_code == 0, done.output
        assert line in done.output
    assert f"{N} embeddings from the store" in done.output
    listed = CliRunner().invoke(cli, ["data", "embeddings", "--embeddings", kept, "--verify", "--json"])
    assert listed.exit_code == 0
    (model,) = json.loads(listed.output)["models"]
    assert (model["name"], model["n_sounds"], model["damaged"]) == ("logmel", N, [])
    off = CliRunner().invoke(cli, [*arguments[:-1], "off", "--into", str(tmp_path / "c"), "--json"])
    assert json.loads(off.output)["embeddings"] == {"stored": 0, "encoded": 0, "damaged": 0}
