"""``otoscope convert`` on files laid out as published ones, in small sizes: what it writes gives the same frames."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from otoscope.cli import cli
from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError, UsageError
from otoscope.models import devices
from otoscope.models.convert import convert
from otoscope.models.encoders.gramt import network as gramt
from otoscope.models.encoders.spatial_ast.trunk import Shape, draw
from otoscope.models.encoders.tensor_map import shapes_of
from otoscope.models.encoders.wavjepa.network import Sizes
from otoscope.models.resolve import resolve

SMALL = Shape(width=24, depth=2, heads=3, events=5)
JEPA = Sizes(convs=((8, 10, 5), *(((8, 3, 2),) * 4), (8, 2, 2)), width=16, heads=4, depth=2, hidden=32, window=1_760)
#: What published files hold besides, for training.
BESIDES = {"gram-t": "decoder_norm.bias", "wavjepa-nat": "mask_token"}
NAMES = ["gram-t", "gram-t:variant=time", "spatial-ast", "dspast:stage=1", "dspast", "wavjepa-nat"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The named models in small sizes."""
    patches = {"patch": (16, 8), "time": (128, 2)}
    tiny = {k: gramt.Config(patch=p, width=16, heads=4, depth=2, hidden=32) for k, p in patches.items()}
    monkeypatch.setattr(gramt, "VARIANTS", tiny)
    at = "otoscope.models.encoders"
    monkeypatch.setattr(f"{at}.spatial_ast.spatial_ast.Shape", lambda: SMALL)
    monkeypatch.setattr(f"{at}.spatial_ast.dspast.Shape", lambda: SMALL)
    monkeypatch.setattr(f"{at}.wavjepa.network.Sizes", lambda: JEPA)


def published(name: str, folder: Path) -> tuple[Path, dict[str, torch.Tensor]]:
    """Random weights of ``name`` in the file that its authors would publish, and its tensors."""
    encoder: Any = resolve(name).encoder
    with devices.seeded(5):
        network = encoder.build()
    if hasattr(network, "images"):
        draw(network, 5)
    held = network.state_dict()
    state = {encoder.tensor_map.source(k): held[k] for k in shapes_of(network)}
    model = name.partition(":")[0]
    if model in BESIDES:
        state = {f"model.{k}": v for k, v in state.items()} | {f"model.{BESIDES[model]}": torch.ones(3)}
        save_file(state, str(folder / "model.safetensors"))
        return folder / "model.safetensors", state
    state |= {"bn.num_batches_tracked": torch.tensor(7), "spectrogram_extractor.conv_real.weight": torch.ones(3)}
    file = folder / ("finetuned.pth" if model == "spatial-ast" else "DSpAST-stage")
    torch.save({"model": state, "args": argparse.Namespace(lr=1.0), "epoch": 3}, file)
    return file, state


def embedding(name: str, path: Path) -> np.ndarray:
    model = resolve(f"{name}{',' if ':' in name else ':'}path={path}")
    rate = int(model.card.rate or 0)
    x = 0.1 * np.random.default_rng(8).standard_normal((2, round(0.4 * rate)))
    return np.asarray(model.embed([Audio(x.astype(np.float32), rate)])[0]["last"])


@pytest.mark.parametrize("name", NAMES)
def test_a_converted_file_gives_the_same_embeddings(name: str, tmp_path: Path) -> None:
    (file, state), out = published(name, tmp_path), tmp_path / "out.safetensors"
    done = CliRunner().invoke(cli, ["convert", name, str(file), str(out), "--json"], catch_exceptions=False)
    assert done.exit_code == 0
    told = json.loads(done.stdout)
    used, ignored = told["used"], told["ignored"]
    assert sorted(t["published"] for t in used + ignored) == sorted(state)
    assert all(t["reason"] for t in ignored)
    assert {t["published"]: t["shape"] for t in used}.items() <= {k: list(v.shape) for k, v in state.items()}.items()
    np.testing.assert_array_equal(embedding(name, out), embedding(name, file))
    changed = {k: v + 0.1 if v.is_floating_point() else v for k, v in state.items()}  # the file matters
    save_file(changed, str(tmp_path / "changed.safetensors"))
    assert np.abs(embedding(name, tmp_path / "changed.safetensors") - embedding(name, out)).max() > 1e-3


def test_what_is_printed_and_that_nothing_is_replaced_unasked(tmp_path: Path) -> None:
    (file, state), out = published("wavjepa-nat", tmp_path), tmp_path / "out.safetensors"
    words = ["convert", "wavjepa-nat", str(file), str(out)]
    lines = CliRunner().invoke(cli, words, catch_exceptions=False).stdout.splitlines()
    assert len(lines) == len(state) + 1
    assert "used     model.encoder.norm.bias -> final_norm.bias [16]" in lines
    assert any(line.startswith("ignored  model.mask_token: only training needs it") for line in lines)
    assert lines[-1] == f"{out}: {len(state) - 1} tensors used, 1 ignored, none missing (wavjepa-nat)"
    out.write_bytes(b"precious")
    with pytest.raises(UsageError, match="--force"):
        CliRunner().invoke(cli, words, catch_exceptions=False)
    assert out.read_bytes() == b"precious"
    CliRunner().invoke(cli, [*words, "--force"], catch_exceptions=False)
    np.testing.assert_array_equal(embedding("wavjepa-nat", out), embedding("wavjepa-nat", file))


def test_a_converted_file_is_of_one_variant(tmp_path: Path) -> None:
    for name, other in (("gram-t:variant=time", "gram-t"), ("dspast:stage=1", "dspast:stage=2")):
        out = tmp_path / f"{other[:5]}.safetensors"
        file = published(name, tmp_path)[0]
        convert(name, file, out)
        with pytest.raises(ModelError, match="was converted for"):
            resolve(f"{other}{',' if ':' in other else ':'}path={out}").load()
        with pytest.raises(ModelError, match="lacks"):
            convert("spatial-ast", file, tmp_path / "wrong.safetensors")
        assert not (tmp_path / "wrong.safetensors").exists()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hubert-large", "transformers reads its checkpoint as it is"),
        ("logmel", "no published weights"),
        ("sam-audio-base", "its published checkpoint is read as it is"),
        ("tiny-stereo", "no published weights"),
        ("gcc-phat", "no published weights"),
        ("gram-t:init=random", "init has no place"),
        ("wavjepa-nat:path=elsewhere", "path has no place"),
        ("gramt", "Did you mean gram-t"),
    ],
)
def test_models_without_a_map(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said):
        convert(name, tmp_path / "in.pt", tmp_path / "out.safetensors")


def test_a_class_of_the_user_brings_its_weights(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "import numpy as np\nclass Mine:\n    rate, channels = 16000, 2\n    def encode(self, x):\n        return x\n"
    )
    with pytest.raises(UsageError, match="brings its weights itself"):
        convert(f"file:{file}#Mine", tmp_path / "in.pt", tmp_path / "out.safetensors")
