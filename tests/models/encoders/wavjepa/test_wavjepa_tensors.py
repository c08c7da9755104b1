"""What becomes of every published tensor."""

from __future__ import annotations

import pytest
import torch

from otoscope.core.errors import ModelError
from otoscope.models.encoders.wavjepa.adapter import WavJepaEncoder
from otoscope.models.encoders.wavjepa.files import read
from otoscope.models.encoders.wavjepa.network import WavJepaNat
from otoscope.models.encoders.wavjepa.tensors import convert


def shapes(sizes):
    return {k: tuple(v.shape) for k, v in WavJepaNat(sizes).state_dict().items()}


def test_every_tensor_is_accounted_for(tensors, sizes) -> None:
    wanted = shapes(sizes)
    out, report = convert(tensors, wanted, "here")
    assert set(out) == set(wanted) == set(report.used.values())
    assert set(report.used) | set(report.ignored) == set(tensors)
    assert all(k.startswith(("teacher", "decoder", "encoder_to", "mask")) for k in report.ignored)
    assert len(report.lines()) == len(tensors)
    assert "mask_token: ignored: only training needs it" in "\n".join(report.lines())


@pytest.mark.parametrize("prefix", ["model.", "model.model.", "module."])
def test_wrappers_of_names(tensors, sizes, prefix) -> None:
    wrapped = {prefix + k.replace("extract_audio.", "extract_audio._orig_mod."): v for k, v in tensors.items()}
    out, _ = convert(wrapped, shapes(sizes), "here")
    assert set(out) == set(shapes(sizes))


def test_what_does_not_fit_is_an_error(tensors, sizes) -> None:
    wanted = shapes(sizes)
    name = "encoder.layers.1.linear1.bias"
    for change, said in (
        ({k: v for k, v in tensors.items() if k != name}, "lacks blocks.1.linear1.bias"),
        ({**tensors, "head.weight": tensors[name]}, "head.weight has no place"),
        ({**tensors, "encoder.layers.9.linear1.bias": tensors[name]}, "has no place"),
        ({**tensors, name: tensors[name][:3]}, r"has shape \(3,\), expected"),
        ({**tensors, f"model.{name}": tensors[name]}, "comes twice"),
    ):
        with pytest.raises(ModelError, match=said):
            convert(change, wanted, "here")


def test_a_training_checkpoint_loads_without_unpickling(tensors, sizes, tmp_path) -> None:
    state = {k: torch.from_numpy(v) for k, v in tensors.items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "step.ckpt")
    encoder = WavJepaEncoder(path=str(tmp_path / "step.ckpt"), sizes=sizes)
    encoder.load()
    assert len(encoder.report.used) == len(shapes(sizes))
    torch.save({"state_dict": state, "thing": object}, tmp_path / "evil.ckpt")
    with pytest.raises(ModelError, match="cannot be read"):
        read(tmp_path / "evil.ckpt")
    torch.save([1], tmp_path / "list.ckpt")
    with pytest.raises(ModelError, match="no state dict"):
        read(tmp_path / "list.ckpt")
