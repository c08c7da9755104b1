"""From names to models."""

from __future__ import annotations

import numpy as np
import pytest

import otoscope
from otoscope.core.errors import UsageError
from otoscope.core.naming import Spec, parse_spec
from otoscope.core.nouns import Encoder, Observer
from otoscope.models.encoders.view import EncoderView
from otoscope.models.resolve import card_for, load, random_twin, resolve, twin_refusal


def test_what_a_name_can_be(checkpoint, tmp_path) -> None:
    (tmp_path / "net.py").write_text(
        "class Net:\n    rate, channels = 16000, 1\n    def encode(self, x):\n        return x[:, 0, :4]\n"
    )
    for name in ("logmel", "tiny-wav2vec2", str(checkpoint("hubert")), f"file:{tmp_path / 'net.py'}#Net"):
        assert isinstance(resolve(name), EncoderView)
        assert isinstance(resolve(parse_spec(name)), Encoder)
    assert isinstance(resolve("gcc-phat"), Observer)


def test_objects(checkpoint) -> None:
    class Net:
        rate, channels = 16000, 1

        def encode(self, x):
            return x[:, 0, :4]

    for thing in (Net, Net()):
        assert resolve(thing).card.name == "Net"
    view = resolve("logmel")
    assert resolve(view) is view
    observer = resolve("gcc-phat")
    assert resolve(observer) is observer
    assert isinstance(resolve(type(observer)), Observer)


def test_parameters_go_where_they_belong(checkpoint) -> None:
    view = resolve("random-conv:seed=5,units=8,pool=max,merge=concat,channels=left,layer=last")
    assert (view.pool, view.merge, view.channels) == ("max", "concat", "left")
    assert (view.encoder.front.seed, view.encoder.front.units) == (5, 8)
    view = resolve(f"{checkpoint('hubert')}:layer=-1,init=random,seed=2,normalize=false")
    assert view.layer == -1
    assert view.encoder.checkpoint.seed == 2
    assert view.encoder.checkpoint.options == (("normalize", False),)
    assert resolve("gcc-phat:sensor_noise_db=-40").observer.sensor_noise_db == -40


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("hubrt-large", "there is no model 'hubrt-large'. Did you mean hubert-large"),
        ("logmel:pol=mean", r"model 'logmel' has no parameter 'pol'. Did you mean pool\? It has: layer, pool"),
        ("random-conv:unit=3", "Did you mean units"),
        ("hubert-large:sed=3,init=random", "Did you mean seed"),
        ("gcc-phat:pool=mean", "model 'gcc-phat' has no parameter 'pool'. It has: sensor_noise_db, seed"),
        ("logmel:layer=true", "layer=True is not a layer"),
        ("logmel:layer=0.5", "layer=0.5 is not a layer"),
        ("./no/such/folder", "no such folder"),
        ("../elsewhere", "no such folder"),
        ("a/b/c", "no such folder"),
        ("file:nowhere.py#Net", "no such file"),
        ("logmel:rate=8000", "describes itself"),
        ("tiny-stereo:rate=8000", "describes itself"),
    ],
)
def test_wrong_names_and_parameters(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve(name)


def test_asking_for_a_layer_that_is_not_there(noise) -> None:
    with pytest.raises(UsageError, match=r"there is no layer 9.*Layers are 0..4"):
        resolve("tiny-wav2vec2:layer=9").embed([noise()])
    with pytest.raises(UsageError, match="there is no layer 3"):
        resolve("logmel:layer=3").embed([noise()])


def test_load_is_for_python_users(noise) -> None:
    model = otoscope.load("tiny-wav2vec2", layer=2, pool="max")
    assert model.encoder._model is not None
    assert np.array_equal(
        model.embed([noise()])[0][2], resolve("tiny-wav2vec2:layer=2,pool=max").embed([noise()])[0][2]
    )
    assert load("tiny-wav2vec2:layer=1", pool="max").layer == 1
    with pytest.raises(UsageError, match="not with an object"):
        load(model, layer=2)


def test_loading_twice_is_loading_once() -> None:
    model = load("tiny-wav2vec2")
    network = model.encoder._model
    model.load()
    assert model.encoder._model is network


def test_random_twin_is_a_name() -> None:
    twin = random_twin(Spec("hubert-large", {"layer": 3}), 7)
    assert str(twin) == "hubert-large:init=random,layer=3,seed=7"
    assert card_for(twin).extra["init"] == "random"


def test_what_has_no_twin() -> None:
    for name in ("tiny-wav2vec2", "tiny-stereo", "random-conv", "hubert-large:layer=3"):
        assert twin_refusal(parse_spec(name)) is None
    assert "no random twin" in str(twin_refusal(parse_spec("logmel-ipd")))
    assert "has no parameter 'init'" in str(twin_refusal(parse_spec("gcc-phat")))


def test_plug_ins(monkeypatch, noise) -> None:
    """Entry points of other packages: a module class, an encoder class and an observer class."""
    from importlib.metadata import EntryPoint

    from otoscope.core.registry import Registry
    from otoscope.models import resolve as module

    found = [
        EntryPoint("plug-module", "otoscope.models.encoders.tiny_stereo:TinyStereo", "otoscope.models"),
        EntryPoint("plug-front", "otoscope.models.encoders.reference.logmel:LogMel", "otoscope.models"),
        EntryPoint("plug-observer", "otoscope.models.observers.adapter:GccPhatObserver", "otoscope.models"),
    ]
    monkeypatch.setattr("otoscope.core.registry.entry_points", lambda group: found)
    monkeypatch.setattr(module, "MODELS", Registry("model", "otoscope.models"))
    assert resolve("plug-module:depth=1").embed([noise()])[0]["last"].shape == (64,)
    assert resolve("plug-front").embed([noise()])[0]["last"].shape == (64,)
    assert isinstance(resolve("plug-observer:seed=3"), Observer)
