"""What becomes of every published tensor."""

from __future__ import annotations

import pytest
import torch

from otoscope.core.errors import ModelError
from otoscope.models.encoders.tensor_map import apply, blueprint, shapes_of
from otoscope.models.encoders.wavjepa.adapter import WavJepaEncoder
from otoscope.models.encoders.wavjepa.network import WavJepaNat
from otoscope.models.encoders.wavjepa.tensors import WAVJEPA_NAT_MAP


def account(tensors, sizes):
    published = {k: torch.from_numpy(v) for k, v in tensors.items()}
    return apply(published, WAVJEPA_NAT_MAP, shapes_of(WavJepaNat(sizes)), "here")


def test_every_tensor_is_accounted_for(tensors, sizes) -> None:
    out, report = account(tensors, sizes)
    used, ignored = {theirs for theirs, _, _ in report.used}, {theirs for theirs, _ in report.ignored}
    assert set(out) == set(WavJepaNat(sizes).state_dict()) == {ours for _, ours, _ in report.used}
    assert used | ignored == set(tensors)
    assert all(k.startswith(("teacher", "decoder", "encoder_to", "mask")) for k in ignored)
    assert len(report.lines()) == len(tensors)
    assert "ignored  mask_token: only training needs it" in "\n".join(report.lines())


def test_the_published_sizes() -> None:
    shapes = blueprint(WavJepaNat)
    assert len(shapes) == 167
    assert shapes["positions"] == (1, 400, 768)
    assert shapes["project.weight"] == (768, 512)


@pytest.mark.parametrize("prefix", ["model.", "model.model.", "module."])
def test_wrappers_of_names(tensors, sizes, prefix) -> None:
    wrapped = {prefix + k.replace("extract_audio.", "extract_audio._orig_mod."): v for k, v in tensors.items()}
    plain, out = account(tensors, sizes)[0], account(wrapped, sizes)[0]
    assert all(torch.equal(plain[k], out[k]) for k in plain.keys() | out.keys())


def test_what_does_not_fit_is_an_error(tensors, sizes) -> None:
    name = "encoder.layers.1.linear1.bias"
    for change, said in (
        ({k: v for k, v in tensors.items() if k != name}, f"lacks 1 .*: {name}"),
        ({**tensors, "head.weight": tensors[name]}, "unknown .*: head.weight"),
        ({**tensors, "encoder.layers.9.linear1.bias": tensors[name]}, "unknown .*: encoder.layers.9"),
        ({**tensors, name: tensors[name][:3]}, r"another shape .*: .* \[3\], not"),
        ({**tensors, f"model.{name}": tensors[name]}, f"twice .*: {name} and model.{name}"),
    ):
        with pytest.raises(ModelError, match=said):
            account(change, sizes)


def test_a_training_checkpoint_loads_without_unpickling(tensors, sizes, tmp_path) -> None:
    state = {k: torch.from_numpy(v) for k, v in tensors.items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "step.ckpt")
    encoder = WavJepaEncoder(path=str(tmp_path / "step.ckpt"), sizes=sizes)
    encoder.load()
    assert len(encoder.report.used) == len(shapes_of(WavJepaNat(sizes)))
    torch.save({"state_dict": state, "thing": object}, tmp_path / "evil.ckpt")
    torch.save([1], tmp_path / "list.ckpt")
    for name, said in (("evil", "cannot be read"), ("list", "no state dict")):
        with pytest.raises(ModelError, match=said):
            WavJepaEncoder(path=str(tmp_path / f"{name}.ckpt"), sizes=sizes).load()
