"""The two networks as encoders: names, cards, lengths, frames, files. Small sizes, random weights."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from otoscope.core.audio import Audio
from otoscope.core.errors import InputError, ModelError, UsageError
from otoscope.models.conformance import check
from otoscope.models.encoders.spatial_ast.adapter import Options, SpatialEncoder
from otoscope.models.encoders.spatial_ast.published import Published
from otoscope.models.encoders.spatial_ast.spatial_ast import SpatialAST
from otoscope.models.encoders.spatial_ast.tensors import spatial_ast_map
from otoscope.models.encoders.spatial_ast.trunk import Shape, draw
from otoscope.models.resolve import resolve

TINY = Shape(width=24, depth=2, heads=3, events=5)
BOTH = pytest.mark.parametrize("name", ["dspast", "spatial-ast"])


def tiny(name: str, seed: int = 0, **options: Any) -> SpatialEncoder:
    return SpatialEncoder(name, Published(name, stage=3), Options(**options), random_seed=seed, shape=TINY)


def sound(seconds: float, seed: int = 0) -> Audio:
    x = np.random.default_rng(seed).standard_normal((2, round(32_000 * seconds)))
    return Audio((0.1 * x).astype(np.float32), 32_000)


def frames(encoder: SpatialEncoder, one: Audio, layer: Any = "last") -> np.ndarray:
    return encoder.encode([one], [layer])[0].frames[layer]


@BOTH
def test_keeps_the_contract(name: str) -> None:
    found = {c.name: c.status for c in check(tiny(name))}
    assert found.pop("padding invariance") == "known"
    assert set(found.values()) == {"passed"}


@BOTH
def test_frames_by_tokens_and_layer(name: str) -> None:
    wide = 24 if name == "spatial-ast" else 72
    ten = sound(10.0)
    assert frames(tiny(name), ten).shape == (1, 64, 24)
    assert frames(tiny(name), ten, 0).shape == (1, 64, wide)
    assert frames(tiny(name, tokens="all"), ten).shape == (1, 515, 24)
    assert frames(tiny(name, tokens="class"), ten).shape == (1, 3, 24)
    everything = frames(tiny(name, tokens="all"), ten)
    np.testing.assert_allclose(frames(tiny(name), ten).mean(1), everything[:, 3:].mean(1), atol=1e-5)


def test_a_branch_is_its_part_of_the_embedding() -> None:
    whole, part = frames(tiny("dspast"), sound(10.0)), frames(tiny("dspast", branch="direction"), sound(10.0))
    np.testing.assert_array_equal(part, whole[..., 8:16])


@BOTH
def test_a_short_sound_is_repeated_refused_or_stretched(name: str) -> None:
    two = sound(2.0)
    ten = Audio(np.tile(two.samples, (1, 5)), two.rate)
    tiled = frames(tiny(name), two)
    np.testing.assert_allclose(tiled, frames(tiny(name), ten)[:, :12], rtol=0, atol=1e-6)
    stretched = frames(tiny(name, stretch=True), two)
    assert stretched.shape == (1, 64, 24)
    assert np.abs(stretched[:, :12] - tiled).max() > 1e-3
    np.testing.assert_array_equal(frames(tiny(name, stretch=True), ten), frames(tiny(name), ten))
    with pytest.raises(InputError, match="shorter"):
        tiny(name, short="refuse").encode([two])
    with pytest.raises(InputError, match="longer"):
        tiny(name).encode([sound(10.01)])
    with pytest.raises(InputError, match="window"):
        tiny(name).encode([sound(0.03)])


def test_level_is_one_gain_for_both_ears_and_no_option_by_default() -> None:
    one, loud = sound(10.0), Audio(sound(10.0).samples * np.float32(3.0), 32_000)
    quiet = [frames(tiny("spatial-ast", level_dbfs=-14.0), x) for x in (one, loud)]
    np.testing.assert_allclose(quiet[0], quiet[1], atol=1e-5)
    assert np.abs(frames(tiny("spatial-ast"), one) - frames(tiny("spatial-ast"), loud)).max() > 1e-3


@BOTH
def test_hears_interaural_phase(name: str) -> None:
    n = sound(10.0).samples[:1]
    same = Audio(np.concatenate([n, n]), 32_000)
    opposite = Audio(np.concatenate([n, -n]), 32_000)
    assert np.abs(frames(tiny(name), same) - frames(tiny(name), opposite)).max() > 1e-3


@BOTH
def test_names_lead_here_and_cards_load_nothing(name: str) -> None:
    card = resolve(name).card
    assert (card.rate, card.channels, card.fixed_duration_s) == (32_000, 2, 10.0)
    assert "non-commercial" in card.licence
    assert card.cues >= {"magnitude", "ipd"}
    assert ("gcc" in card.cues) == (name == "dspast")
    ids = [resolve(f"{name}:init=random,seed={s}").identity() for s in (1, 2)]
    assert ids[0] != ids[1]


@BOTH
def test_missing_weights_are_one_line_with_file_source_and_licence(name: str, tmp_path: Path) -> None:
    for spec in (f"{name}:path={tmp_path}", name):
        with pytest.raises(ModelError) as caught:
            resolve(spec).load()
        told = str(caught.value)
        hub = {"spatial-ast": "zhisheng01/SpatialAudio", "dspast": "kwilk90/DSpAST"}[name]
        file = {"spatial-ast": "finetuned.pth", "dspast": "DSpAST-stage3"}[name]
        assert hub in told
        assert file in told
        assert "CC BY-NC 4.0" in told
        assert "\n" not in told


def test_stages_name_other_files() -> None:
    assert Published("dspast", stage=1).filename == "DSpAST-stage1"
    with pytest.raises(UsageError, match="stage"):
        resolve("dspast:stage=4")


def test_wrong_options_are_refused() -> None:
    for options in ("short=cut", "tokens=cls", "level_dbfs=3", "stretch=true,short=refuse"):
        with pytest.raises(UsageError):
            resolve(f"spatial-ast:init=random,{options}")


def test_reads_a_training_file_and_refuses_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("otoscope.models.encoders.spatial_ast.spatial_ast.Shape", lambda: TINY)
    good, bad = tmp_path / "good.pth", tmp_path / "bad.pth"
    state = {spatial_ast_map().source(k): v for k, v in drawn(SpatialAST(TINY)).items()}
    torch.save({"model": state, "args": argparse.Namespace(lr=1.0)}, good)
    expected = frames(tiny("spatial-ast", seed=4), sound(10.0))
    np.testing.assert_array_equal(resolve(f"spatial-ast:path={good}").encode([sound(10.0)])[0].frames["last"], expected)
    torch.save({"model": state, "hook": Path("x").exists}, bad)
    with pytest.raises(ModelError, match="cannot be read"):
        resolve(f"spatial-ast:path={bad}").load()


def drawn(network: SpatialAST) -> dict[str, torch.Tensor]:
    """What a random encoder of seed 4 holds, less the counters."""
    draw(network, 4)
    return {k: v for k, v in network.state_dict().items() if "num_batches" not in k}
