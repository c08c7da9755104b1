"""Encoders written for X-ARES and HEAR run here, and ours run there, with the same numbers."""

from __future__ import annotations

import json
import textwrap

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from otoscope.cli import cli
from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError, UsageError
from otoscope.core.naming import parse_spec
from otoscope.core.registry import import_path
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.plan import Settings
from otoscope.experiments.runner import run
from otoscope.models.encoders.suites.written import export
from otoscope.models.resolve import resolve

XARES = """
    import pathlib
    import torch

    pathlib.Path(__file__).with_suffix(".was-run").touch()

    class ToyEncoder(torch.nn.Module):
        def __init__(self, width=6, scale=1.0):
            super().__init__()
            self.sampling_rate, self.output_dim, self.hop_size_in_ms = 16000, width, 20
            self.net, self.scale = torch.nn.Conv1d(1, width, 320, 320), scale

        def forward(self, audio):
            if audio.ndim == 1:
                audio = audio.unsqueeze(0)
            return self.scale * self.net(audio[:, None]).transpose(1, 2)
"""
HEAR = """
    import torch

    HOP = 0.025

    class Net(torch.nn.Module):
        sample_rate, timestamp_embedding_size, scene_embedding_size = 16000, 4, 8

        def __init__(self):
            super().__init__()
            self.net = torch.nn.Conv1d(1, 4, 400, 400)

    def load_model(path="", width=4):
        model = Net()
        if path:
            model.load_state_dict(torch.load(path, weights_only=True))
        return model

    def get_timestamp_embeddings(audio, model):
        y = model.net(audio[:, None]).transpose(1, 2)
        t = 1000 * HOP * (torch.arange(y.shape[1]) + 0.5)
        return y, t.repeat(len(y), 1)

    def get_scene_embeddings(audio, model):
        y, _ = get_timestamp_embeddings(audio, model)
        return torch.cat([y.mean(1), y.amax(1)], dim=1)
"""


def write(path, text, *changes):
    text = textwrap.dedent(text)
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return path


def sounds(n=3, seconds=1.0, rate=16_000, channels=1):
    rng = np.random.default_rng(5)
    return [
        Audio(0.1 * rng.standard_normal((channels, round(rate * (seconds + 0.13 * k)))).astype(np.float32), rate)
        for k in range(n)
    ]


def load(name, **more):
    return resolve(name, trust_remote_code=True, **more)


@pytest.mark.parametrize("suite", ["xares", "hear"])
def test_code_is_not_run_unless_that_was_allowed(tmp_path, suite):
    path = write(tmp_path / "toy.py", XARES)
    with pytest.raises(UsageError, match=r"could do anything.*nothing of it was run.*--trust-remote-code"):
        resolve(f"{suite}:{path}")
    with pytest.raises(UsageError, match="nothing of it was run"):
        resolve(f"{suite}:json")
    assert not path.with_suffix(".was-run").exists()
    load(f"xares:{path}")
    assert path.with_suffix(".was-run").exists()


def test_an_encoder_of_xares_gives_what_it_gives_there(tmp_path):
    path = write(tmp_path / "toy.py", XARES)
    view = load(f"xares:{path}")
    assert (view.card.rate, view.card.channels) == (16_000, 1)
    network = view.network.encoder
    for sound, (vectors, frames, hop) in zip(sounds(), view.embed_frames(sounds()), strict=True):
        with torch.no_grad():
            there = network(torch.tensor(sound.samples)).numpy()[0]
        assert hop == 0.02
        assert np.array_equal(frames["last"], there)
        assert np.allclose(vectors["last"], there.mean(0), atol=1e-7)


def test_parameters_and_content_are_of_the_identity(tmp_path):
    path = write(tmp_path / "toy.py", XARES)
    wide = load(f"xares:{path}:width=9")
    assert wide.embed(sounds(1))[0]["last"].shape == (9,)
    other = write(tmp_path / "other.py", XARES, ("320, 320", "320, 160"), ("= 16000, width, 20", "= 16000, width, 10"))
    names = [f"xares:{path}", f"xares:{path}:width=9", f"xares:{path}:scale=2.0", f"xares:{other}"]
    assert len({json.dumps(load(n).identity(), default=str) for n in names}) == 4
    with pytest.raises(UsageError, match="cannot be made"):
        load(f"xares:{path}:depth=9")


def test_which_class_is_meant(tmp_path):
    two = textwrap.dedent(XARES) + "\n\nclass SmallEncoder(ToyEncoder):\n    pass\n"
    path = tmp_path / "two.py"
    path.write_text(two)
    with pytest.raises(UsageError, match=r"holds 2 classes.*ToyEncoder, SmallEncoder.*#ToyEncoder"):
        load(f"xares:{path}")
    first, second = (load(f"xares:{path}#{name}") for name in ("ToyEncoder", "SmallEncoder"))
    assert first.identity() != second.identity()
    with pytest.raises(UsageError, match="no class 'BigEncoder'"):
        load(f"xares:{path}#BigEncoder")
    with pytest.raises(UsageError, match="no such file"):
        load(f"xares:{tmp_path}/none.py")
    with pytest.raises(UsageError, match="cannot be imported: ModuleNotFoundError"):
        load("xares:no_such_module_here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((".hop_size_in_ms =", ".hop ="), "has no hop_size_in_ms"),
        (("= 16000, width", "= 16000.5, width"), "sampling_rate = 16000.5"),
        (("(1, width,", "(1, width + 1,"), r"gave \(1, 50, 7\), and X-ARES takes \[1, T, 6\]"),
        ((".transpose(1, 2)", ".mean(2)"), r"gave \(1, 6\)"),
        (("ToyEncoder(torch.nn.Module)", "ToyEncoder(dict)"), "is a ToyEncoder|cannot be made"),
    ],
)
def test_an_encoder_that_breaks_the_contract_of_xares_is_told(tmp_path, change, message):
    path = write(tmp_path / f"bad{abs(hash(change))}.py", XARES, change)
    with pytest.raises(ModelError, match=message):
        load(f"xares:{path}").embed(sounds(1))


def test_a_module_of_hear_gives_what_it_gives_there(tmp_path, monkeypatch):
    write(tmp_path / "toy_of_hear.py", HEAR)
    monkeypatch.syspath_prepend(tmp_path)
    view, scene = load("hear:toy_of_hear"), load("hear:toy_of_hear:embeddings=scene")
    import toy_of_hear

    for sound, (_, frames, hop), vectors in zip(
        sounds(), view.embed_frames(sounds()), scene.embed(sounds()), strict=True
    ):
        x = torch.tensor(sound.samples)
        with torch.no_grad():
            assert np.array_equal(frames["last"], toy_of_hear.get_timestamp_embeddings(x, view.network.model)[0][0])
            assert np.array_equal(vectors["last"], toy_of_hear.get_scene_embeddings(x, scene.network.model)[0])
        assert hop == pytest.approx(0.025)
    assert view.identity() != scene.identity()


def test_weights_of_hear_go_to_its_loader(tmp_path):
    path = write(tmp_path / "toy.py", HEAR)
    made = import_path(path.resolve()).load_model()
    torch.save(made.state_dict(), tmp_path / "w.pt")
    view = load(f"hear:{path}:weights={tmp_path / 'w.pt'}")
    assert torch.equal(view.network.model.net.weight, made.net.weight)
    assert view.identity() != load(f"hear:{path}").identity()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (("def get_scene_embeddings", "def scene"), UsageError, "defines no get_scene_embeddings"),
        (("(torch.nn.Module)", "(object)"), ModelError, "cannot be made|only torch modules"),
        (("+ 0.5)", "** 1.1)"), ModelError, "not evenly spaced"),
        (("+ 0.5)", "+ 9)"), ModelError, "and the sound from 0 to 1000"),
        (("return y, t.repeat(len(y), 1)", "return y"), ModelError, "no pair"),
        (("timestamp_embedding_size, scene", "size, scene"), ModelError, "has no timestamp_embedding_size"),
    ],
)
def test_a_module_that_breaks_the_contract_of_hear_is_told(tmp_path, change, error, message):
    path = write(tmp_path / f"bad{abs(hash(change))}.py", HEAR, change)
    with pytest.raises(error, match=message):
        load(f"hear:{path}").embed(sounds(1))


OURS = ["logmel", "tiny-wav2vec2:layer=1", "logmel-ipd", "tiny-wav2vec2:channels=per-channel-concat,merge=concat"]


@pytest.mark.parametrize("name", OURS)
def test_there_and_back_again_through_xares(tmp_path, name):
    path = tmp_path / "ours_encoder.py"
    facts = export(name, "xares", path)
    back, ours = load(f"xares:{path}"), resolve(name)
    assert back.card.rate == facts.rate == (ours.card.rate or 16_000)
    assert_same(back.embed_frames(sounds()), ours.embed_frames(diotic(ours)))


@pytest.mark.parametrize("name", [*OURS, "logmel:pool=max"])
def test_there_and_back_again_through_hear(tmp_path, name):
    path = tmp_path / "ours_hear.py"
    export(name, "hear", path)
    ours = resolve(name).embed_frames(diotic(resolve(name)))
    scenes = load(f"hear:{path}:embeddings=scene").embed(sounds())
    for (vectors, _, _), scene in zip(ours, scenes, strict=True):
        assert np.array_equal(*[next(iter(v.values())) for v in (vectors, scene)])
    found = load(f"hear:{path}").embed_frames(sounds())
    for (_, frames, hop), (_, back, hop_back) in zip(ours, found, strict=True):
        assert np.array_equal(*[next(iter(f.values())) for f in (frames, back)])
        assert hop_back == pytest.approx(hop, abs=1e-9)


def diotic(view):
    """What a network of our own hears of a sound with one channel."""
    both = view.card.channels == 2 or view.policy == "per-channel-concat"
    return [Audio(np.repeat(s.samples, 2 if both else 1, axis=0), s.rate) for s in sounds()]


def assert_same(found, wanted):
    for (v1, f1, h1), (v2, f2, h2) in zip(found, wanted, strict=True):
        assert h1 == pytest.approx(h2)
        for a, b in ((v1, v2), (f1, f2)):
            assert np.array_equal(*[next(iter(x.values())) for x in (a, b)])


def test_the_written_encoder_keeps_the_contract_that_xares_checks(tmp_path):
    path = tmp_path / "ours_encoder.py"
    export("logmel", "xares", path)
    module = import_path(path.resolve())
    (name,) = [n for n in dir(module) if n.endswith("Encoder")]
    made = getattr(module, name)()
    assert isinstance(made, torch.nn.Module)
    y = made(torch.randn(2, 50_000))
    assert (y.ndim, len(y), y.shape[2]) == (3, 2, made.output_dim)
    assert 50_000 / made.sampling_rate / y.shape[1] * 1000 == pytest.approx(made.hop_size_in_ms, rel=0.05)
    assert made(torch.randn(16_000)).shape[0] == 1


@pytest.mark.parametrize("name", ["logmel", "tiny-wav2vec2"])
def test_the_written_module_keeps_the_contract_that_hear_validates(tmp_path, name):
    path = tmp_path / "ours_hear.py"
    export(name, "hear", path)
    module = import_path(path.resolve())
    model = module.load_model("")
    for seconds in (1.07, 1.98, 4.0):
        x = torch.rand(2, int(seconds * model.sample_rate)) * 2 - 1
        y, t = module.get_timestamp_embeddings(x, model)
        assert y.dtype == torch.float32
        assert y.shape == (2, t.shape[1], model.timestamp_embedding_size)
        hop = float(t.diff().mean())
        assert float((t.diff() - hop).abs().max()) <= 1
        assert float(t.min()) >= 0
        assert 1000 * seconds - 2 * hop <= float(t.max()) <= 1000 * seconds
        scene = module.get_scene_embeddings(x, model)
        assert (scene.dtype, scene.shape) == (torch.float32, (2, model.scene_embedding_size))


def test_a_written_file_refuses_other_weights(tmp_path):
    toy = write(tmp_path / "toy.py", XARES)
    path = tmp_path / "ours_encoder.py"
    export(f"xares:{toy}", "xares", path, trust_remote_code=True)
    assert_same(load(f"xares:{path}").embed_frames(sounds()), load(f"xares:{toy}").embed_frames(sounds()))
    text = path.read_text()
    at = text.index('identity = "') + 12
    other = tmp_path / "changed_encoder.py"
    other.write_text(text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :])
    with pytest.raises(ModelError, match="no longer what was exported"):
        load(f"xares:{other}")


def test_what_a_suite_cannot_take_is_refused(tmp_path):
    out = tmp_path / "x.py"
    for name, suite, message in [
        ("tiny-wav2vec2:layer=all", "xares", "suites take one"),
        ("logmel:pool=max", "xares", "X-ARES pools frames itself"),
        ("tiny-audiolm", "hear", "suites take encoders"),
        ("logmel", "marble", "no suite 'marble'"),
    ]:
        with pytest.raises(UsageError, match=message):
            export(name, suite, out)
    assert not out.exists()
    with pytest.raises(UsageError, match="no name of a Python module"):
        export("logmel", "xares", tmp_path / "my-encoder.py")
    out.write_text("")
    with pytest.raises(UsageError, match="is there already"):
        export("logmel", "xares", out)


def test_by_the_command_line(tmp_path):
    out = str(tmp_path / "ours.py")
    done = CliRunner().invoke(cli, ["export", "logmel", "--as", "xares", "-o", out])
    assert done.exit_code == 0, done.output
    assert "16000 Hz" in done.output
    refused = CliRunner().invoke(cli, ["check", f"xares:{out}"])
    assert "nothing of it was run" in str(refused.exception)
    checked = CliRunner().invoke(cli, ["check", f"xares:{out}", "--trust-remote-code", "--json"])
    assert checked.exit_code == 0, checked.output


def test_a_run_takes_such_an_encoder_and_its_random_twin(tmp_path):
    toy = write(tmp_path / "toy.py", XARES)
    task = parse_spec("probes/voices:probes=linear,seeds=0")
    exp = Experiment("e", (Block((task,)),), models=(parse_spec(f"xares:{toy}"),), twins=1)
    done = run(exp, into=tmp_path / "run", settings=Settings(trust_remote_code=True, embeddings=None))
    assert (done.n_failed, done.n_done) == (0, 280)
    with pytest.raises(UsageError, match="nothing of it was run"):
        run(exp, into=tmp_path / "other", settings=Settings(embeddings=None))
