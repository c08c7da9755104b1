"""``gram-t`` by name. The full-sized network runs once; the rest is done with a tiny one in its place."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError, UsageError
from otoscope.core.naming import parse_spec
from otoscope.models.conformance import check
from otoscope.models.encoders.gramt import network
from otoscope.models.encoders.gramt.tensors import gramt_map
from otoscope.models.encoders.tensor_map import blueprint
from otoscope.models.resolve import card_for, random_twin, resolve, twin_refusal

TINY = network.Config(patch=(16, 8), width=16, heads=4, depth=12, hidden=32)


@pytest.fixture
def tiny(monkeypatch) -> None:
    monkeypatch.setattr(network, "VARIANTS", {**network.VARIANTS, "patch": TINY})


def noise(seconds: float = 1.0) -> Audio:
    x = np.random.default_rng(5).standard_normal((2, round(32_000 * seconds)))
    return Audio((0.1 * x).astype(np.float32), 32_000)


def test_full_size_with_random_weights() -> None:
    model = resolve("gram-t:init=random,seed=1")
    frames = model.encode([noise(0.5)])[0]
    assert frames.frames["last"].shape == (1, 7, 6144)
    assert frames.hop_s == 0.08


@pytest.mark.usefixtures("tiny")
def test_the_contract_holds_but_for_what_the_card_declares() -> None:
    found = {c.name: c.status for c in check("gram-t:init=random")}
    assert found.pop("padding invariance") == "known"
    assert set(found.values()) == {"passed"}


@pytest.mark.usefixtures("tiny")
def test_seeds_layers_and_tails() -> None:
    base = resolve("gram-t:init=random,seed=0")
    twin = resolve(random_twin(parse_spec("gram-t:path=nowhere"), 1))
    a, b = base.embed([noise()])[0]["last"], twin.embed([noise()])[0]["last"]
    assert a.shape == (128,)
    assert not np.allclose(a, b)
    assert base.identity() != twin.identity()
    assert twin_refusal(parse_spec("gram-t")) is None
    assert list(resolve("gram-t:init=random,layer=all").embed([noise()])[0]) == list(base.card.layers)
    published = resolve("gram-t:init=random,tail=published")
    assert published.identity() != base.identity()
    two = (base.encode([noise(2.0)])[0], published.encode([noise(2.0)])[0])
    assert [e.frames["last"].shape[1] for e in two] == [25, 26]


@pytest.mark.usefixtures("tiny")
def test_weights_from_a_path(tmp_path) -> None:
    gen = torch.Generator().manual_seed(2)
    table, shapes = gramt_map("patch"), blueprint(lambda: network.GramT(TINY))
    state = {f"model.{table.source(k)}": 0.3 * torch.randn(*s, generator=gen) for k, s in shapes.items()}
    save_file(state, str(tmp_path / "model.safetensors"))
    torch.save({"state_dict": {k.removeprefix("model."): v for k, v in state.items()}}, tmp_path / "step.ckpt")
    folder, file = resolve(f"gram-t:path={tmp_path}"), resolve(f"gram-t:path={tmp_path / 'step.ckpt'}")
    assert np.array_equal(folder.embed([noise()])[0]["last"], file.embed([noise()])[0]["last"])
    assert "weights" in folder.identity()["encoder"]
    del state["model.cls_token"]
    save_file(state, str(tmp_path / "model.safetensors"))
    with pytest.raises(ModelError, match=r"lacks 1 .*: cls_token"):
        resolve(f"gram-t:path={tmp_path}").load()


def test_missing_weights_are_one_line_that_says_how_to_get_them(tmp_path, monkeypatch) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *a, **k: None)
    for name in ("gram-t", f"gram-t:path={tmp_path}", "gram-t:revision=abc"):
        with pytest.raises(ModelError) as e:
            resolve(name).load()
        assert "\n" not in str(e.value)
        assert all(w in str(e.value) for w in ("model.safetensors", "labhamlet/gramt-binaural", "licence: CC-BY-4.0"))
    assert "--revision abc" in str(e.value)


def test_card_and_parameters() -> None:
    card = card_for("gram-t:revision=abc")
    assert (card.channels, card.rate, card.cues) == (2, 32_000, {"magnitude"})
    assert (card.hub_id, card.revision, card.licence) == ("labhamlet/gramt-binaural", "abc", "CC-BY-4.0")
    for name in ("gram-t:variant=square", "gram-t:tail=none", "gram-t:seed=3"):
        with pytest.raises(UsageError):
            resolve(name)
    code = (
        "import sys; from otoscope.models.resolve import card_for; card_for('gram-t'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_device() -> None:
    assert resolve("gram-t:init=random", device="cuda").encoder.device == "cuda"
