"""From what users have to an encoder."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from otoscope.core.errors import ModelError, UsageError
from otoscope.core.nouns import Encoder
from otoscope.models.encoders.adapt import adapt
from otoscope.models.encoders.view import EncoderView
from otoscope.models.resolve import resolve

#: The example of the documentation: "my encoder is a PyTorch module".
NINE_LINES = """
import torch
class Net(torch.nn.Module):
    rate, channels = 16000, 2
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv1d(2, 32, 400, stride=160)
    def forward(self, x):                       # [B, 2, n]
        return self.conv(x).relu().transpose(1, 2)  # [B, T, 32]
"""


def write(path: Path, text: str) -> Path:
    path.write_text(textwrap.dedent(text))
    return path


def test_nine_lines_make_an_encoder(tmp_path, noise) -> None:
    assert len(NINE_LINES.strip().splitlines()) <= 9
    name = f"file:{write(tmp_path / 'net.py', NINE_LINES)}#Net"
    model = resolve(name)
    vector = model.embed([noise()])[0]["last"]
    assert vector.shape == (32,)
    assert model.card.channels == 2
    assert np.array_equal(vector, resolve(name).embed([noise()])[0]["last"])  # built under a fixed seed
    assert resolve(name).identity() == model.identity()
    assert resolve(f"{name}:layer=last,pool=max").embed([noise()])[0]["last"].shape == (32,)


def test_the_module_itself_gives_the_same_frames(tmp_path, noise) -> None:
    model = resolve(f"file:{write(tmp_path / 'net.py', NINE_LINES)}#Net")
    sound = noise()
    frames = model.encode([sound])[0].frames["last"]
    module = model.encoder.origin.made
    with torch.no_grad():
        assert np.array_equal(frames[0], module(torch.tensor(sound.samples[None]))[0].numpy())


class Averages:
    """Block averages per channel."""

    rate, channels, hop_s = 16000, 2, 0.01

    def __init__(self, size: int = 160, weights: np.ndarray | None = None) -> None:
        self.size = size
        self.weights = np.ones(3) if weights is None else weights

    def encode(self, x: np.ndarray) -> np.ndarray:
        b, c, n = x.shape
        t = n // self.size
        means = x[:, :, : t * self.size].reshape(b, c, t, self.size).mean(-1)
        return means[..., None] * self.weights


def test_an_object_with_encode(noise) -> None:
    sound = noise()
    one = EncoderView(adapt(Averages())).encode([sound])[0]
    assert one.frames["last"].shape == (2, 50, 3)
    assert one.hop_s == 0.01
    np.testing.assert_allclose(one.frames["last"][:, 0, 0], sound.samples[:, :160].mean(axis=1), rtol=1e-5)


def test_a_class_and_its_parameters(tmp_path, noise) -> None:
    path = write(
        tmp_path / "mine.py",
        """
        import numpy as np

        class Powers:
            rate, channels = 16000, 1

            def __init__(self, hop, order=2):
                self.hop, self.order = hop, order

            def encode(self, x):
                t = x.shape[-1] // self.hop
                return (np.abs(x[:, 0, : t * self.hop]) ** self.order).reshape(len(x), t, self.hop)
        """,
    )
    one = resolve(f"file:{path}#Powers:hop=80").encode([noise()])[0]
    assert one.frames["last"].shape == (1, 100, 80)
    other = resolve(f"file:{path}#Powers:hop=80,order=1")
    assert other.identity() != resolve(f"file:{path}#Powers:hop=80").identity()
    with pytest.raises(UsageError, match=r"has no parameter 'hopp'. Did you mean hop"):
        resolve(f"file:{path}#Powers:hopp=80")
    with pytest.raises(UsageError, match="cannot be made"):
        resolve(f"file:{path}#Powers")


def test_identity_follows_file_parameters_and_state(tmp_path) -> None:
    text = NINE_LINES
    first = resolve(f"file:{write(tmp_path / 'a.py', text)}#Net").identity()
    assert resolve(f"file:{write(tmp_path / 'b.py', text)}#Net").identity() == first  # content, not place
    assert resolve(f"file:{write(tmp_path / 'c.py', text + '# x')}#Net").identity() != first
    net = resolve(f"file:{tmp_path / 'a.py'}#Net").encoder.origin.made
    before = EncoderView(adapt(net)).identity()
    with torch.no_grad():
        net.conv.bias += 1e-3
    assert EncoderView(adapt(net)).identity() != before


def test_identity_of_objects_follows_what_they_hold() -> None:
    base = adapt(Averages()).identity()
    assert adapt(Averages()).identity() == base
    assert adapt(Averages(size=80)).identity() != base
    assert adapt(Averages(weights=np.full(3, 2.0))).identity() != base


def test_identity_is_taken_before_use(noise) -> None:
    class Counting(Averages):
        calls = 0

        def encode(self, x):
            self.calls += 1
            return super().encode(x)

    model = adapt(Counting())
    before = model.identity()
    model.encode([noise()])
    assert model.identity() == before


def test_what_cannot_be_identified_asks_for_identity() -> None:
    thing = Averages()
    thing.session = open(__file__)  # noqa: SIM115
    with (
        thing.session,
        pytest.raises(ModelError, match=r"Averages.session: cannot tell what a TextIOWrapper holds.*identity\(\)"),
    ):
        adapt(thing).identity()
    thing.identity = lambda: {"weights": "v1"}
    assert adapt(thing).identity()["object"] == {"weights": "v1"}


class Layered(torch.nn.Module):
    rate, channels = 16000, 1

    def __init__(self, form: str = "mapping") -> None:
        super().__init__()
        self.form = form
        self.layers = torch.nn.ModuleList([torch.nn.Conv1d(1, 4, 400, 160), torch.nn.Conv1d(4, 4, 1)])

    def forward(self, x):
        a = self.layers[0](x)
        b = self.layers[1](a)
        a, b = a.transpose(1, 2), b.transpose(1, 2)
        if self.form == "mapping":
            return {"stem": a, "top": b}
        if self.form == "tuple":
            return b, a
        from transformers.modeling_outputs import BaseModelOutput

        return BaseModelOutput(last_hidden_state=b, hidden_states=(a, b))


def test_forms_of_output(noise) -> None:
    torch.manual_seed(0)
    mapping = Layered()
    state = mapping.state_dict()
    others = {}
    for form in ("tuple", "output"):
        others[form] = Layered(form)
        others[form].load_state_dict(state)
    one = EncoderView(adapt(mapping), layer="all").encode([noise()])[0].frames
    assert list(one) == ["stem", "top"]
    for form, module in others.items():
        frames = EncoderView(adapt(module)).encode([noise()])[0].frames["last"]
        assert np.array_equal(frames, one["top"]), form
    states = EncoderView(adapt(others["output"]), layer="all").encode([noise()])[0].frames
    assert list(states) == [0, 1, "last"]
    assert np.array_equal(states[0], one["stem"])


def test_modules_run_in_evaluation_mode_without_gradients(noise) -> None:
    class Dropping(torch.nn.Module):
        rate, channels = 16000, 1

        def __init__(self) -> None:
            super().__init__()
            self.drop, self.w = torch.nn.Dropout(0.5), torch.nn.Parameter(torch.ones(1))
            self.seen: list[bool] = []

        def forward(self, x):
            y = self.drop(x[:, 0, :100]) * self.w
            self.seen.append(y.requires_grad)
            return y

    module = Dropping().half()
    frames = EncoderView(adapt(module)).encode([noise()])[0].frames["last"]
    np.testing.assert_allclose(frames[0, 0], noise().samples[0, :100])
    assert module.seen == [False]
    assert module.w.dtype == torch.float32


def test_rate_and_channels_in_the_name(tmp_path, noise) -> None:
    bare = NINE_LINES.replace("    rate, channels = 16000, 2\n", "")
    path = write(tmp_path / "net.py", bare)
    with pytest.raises(ModelError, match=r"has no rate. Set rate on the class, or write .*#Net:rate="):
        resolve(f"file:{path}#Net")
    model = resolve(f"file:{path}#Net:rate=16000,channels=2")
    assert (model.card.rate, model.card.channels, model.policy) == (16000, 2, "native")
    assert model.embed([noise()])[0]["last"].shape == (32,)
    with pytest.raises(ModelError, match="no whole"):
        adapt(type("Odd", (), {"rate": "fast", "channels": 1, "encode": lambda self, x: x})())


def test_what_the_module_raises_becomes_a_model_error(tmp_path, noise) -> None:
    model = resolve(f"file:{write(tmp_path / 'net.py', NINE_LINES)}#Net")
    with pytest.raises(ModelError, match=r"failed on an input of shape \(1, 2, 200\): RuntimeError") as caught:
        model.encode([noise(0, 200 / 16000)])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", ["[1.0]", "x[:, :, 0].long()", "x[:1, 0]", "x[:, :, :3] * float('nan')"])
def test_outputs_that_break_the_contract(tmp_path, noise, bad: str) -> None:
    text = NINE_LINES.replace("return self.conv(x).relu().transpose(1, 2)", f"return {bad}")
    path = write(tmp_path / "bad.py", text)
    with pytest.raises(ModelError):
        resolve(f"file:{path}#Net").encode([noise(0), noise(1)])


def test_encoders_are_taken_as_they_are(checkpoint) -> None:
    inner = resolve(str(checkpoint("hubert"))).encoder
    assert isinstance(inner, Encoder)
    assert adapt(inner) is inner
    with pytest.raises(UsageError, match="describes itself"):
        adapt(inner, channels=2)


def test_what_is_no_encoder(tmp_path) -> None:
    with pytest.raises(ModelError, match="a dict is no encoder"):
        adapt({})
    path = write(tmp_path / "boom.py", "class Net:\n    def __init__(self):\n        raise OSError('no disk')\n")
    with pytest.raises(ModelError, match="cannot be made: OSError: no disk"):
        resolve(f"file:{path}#Net")
    with pytest.raises(UsageError, match="takes no parameters"):
        adapt(Averages(), params={"size": 2})


def test_functions_that_make_encoders(tmp_path, noise) -> None:
    path = write(tmp_path / "net.py", NINE_LINES + "\ndef wide():\n    return Net()\n")
    assert resolve(f"file:{path}#wide").embed([noise()])[0]["last"].shape == (32,)


@dataclass(frozen=True)
class Frozen:
    gain: float = 1.0
    rate: int = 16000
    channels: int = 1

    def encode(self, x: np.ndarray) -> np.ndarray:
        return self.gain * x[:, 0, :8]


def test_random_twins_of_modules(tmp_path, noise) -> None:
    name = f"file:{write(tmp_path / 'net.py', NINE_LINES)}#Net"
    trained, a, again, b = (
        resolve(f"{name}{p}") for p in ("", ":init=random,seed=1", ":init=random,seed=1", ":init=random,seed=2")
    )
    x = noise()
    va, vb = a.embed([x])[0]["last"], b.embed([x])[0]["last"]
    assert np.array_equal(va, again.embed([x])[0]["last"])
    assert not np.allclose(va, vb)
    assert not np.allclose(va, trained.embed([x])[0]["last"])
    assert a.identity() == again.identity()
    assert len({str(m.identity()) for m in (trained, a, b)}) == 3
    with pytest.raises(UsageError, match="seed only together with init=random"):
        resolve(f"{name}:seed=1")


def test_objects_have_no_twins() -> None:
    with pytest.raises(UsageError, match="no weights that can be drawn anew"):
        adapt(Frozen(), init="random", seed=1)
    assert adapt(Frozen(2.0)).identity() != adapt(Frozen()).identity()


def test_fresh_builds_another(tmp_path, noise) -> None:
    model = resolve(f"file:{write(tmp_path / 'net.py', NINE_LINES)}#Net")
    other = model.fresh()
    assert other.encoder.origin.made is not model.encoder.origin.made
    assert np.array_equal(model.embed([noise()])[0]["last"], other.embed([noise()])[0]["last"])
    with pytest.raises(ModelError, match="as an object only"):
        EncoderView(adapt(Averages())).fresh()
