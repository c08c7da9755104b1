"""Published tensors to ours: every one used, ignored with a reason, or missing."""

from __future__ import annotations

import pickle
import warnings

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from otoscope.core.errors import ModelError
from otoscope.models.encoders.tensor_map import (
    MARK,
    Source,
    TensorMap,
    UnverifiedMapWarning,
    apply,
    convert,
    load_state,
    read_checkpoint,
)

TABLE = TensorMap(
    "toy",
    {"w": Source("layer.weight", (2, 3)), "b": Source("layer.bias", (2,))},
    ((r"head\..*", "the classifier isn't used"),),
    ("", "net."),
    verified=True,
)


def published(prefix: str = "net.") -> dict[str, torch.Tensor]:
    gen = torch.Generator().manual_seed(1)
    out = {"layer.weight": (2, 3), "layer.bias": (2,)}
    tensors = {prefix + k: torch.randn(*s, generator=gen) for k, s in out.items()}
    return {**tensors, "head.weight": torch.zeros(4)}


@pytest.mark.parametrize("suffix", [".safetensors", ".pt", ".pth", ".ckpt"])
@pytest.mark.parametrize("prefix", ["", "net."])
def test_convert(tmp_path, suffix: str, prefix: str) -> None:
    tensors, file = published(prefix), tmp_path / f"theirs{suffix}"
    if suffix == ".safetensors":
        save_file(tensors, str(file))
    else:
        torch.save({"state_dict": tensors, "epoch": 3} if suffix == ".ckpt" else tensors, file)
    report = convert(file, tmp_path / "ours.safetensors", TABLE)
    assert report.prefix == prefix
    assert report.used == ((prefix + "layer.bias", "b", (2,)), (prefix + "layer.weight", "w", (2, 3)))
    assert report.ignored == (("head.weight", "the classifier isn't used"),)
    assert len(report.lines()) == len(tensors)
    assert any("ignored  head.weight: the classifier" in line for line in report.lines())
    with safe_open(str(tmp_path / "ours.safetensors"), "pt") as converted:
        assert converted.metadata()[MARK] == "toy"
        assert torch.equal(converted.get_tensor("w"), tensors[prefix + "layer.weight"])
    for path in (file, tmp_path / "ours.safetensors"):
        state = load_state(path, TABLE)
        assert sorted(state) == ["b", "w"]
        assert torch.equal(state["b"], tensors[prefix + "layer.bias"])


def test_missing_misshapen_and_unknown_tensors(tmp_path) -> None:
    whole = published()
    for tensors, said in (
        ({k: v for k, v in whole.items() if "bias" not in k}, r"lacks net\.layer\.bias"),
        ({**whole, "net.layer.bias": torch.zeros(3)}, r"net\.layer\.bias \[3\], not \[2\]"),
        ({**whole, "net.extra": torch.zeros(1)}, r"doesn't know net\.extra"),
    ):
        file, out = tmp_path / "theirs.safetensors", tmp_path / "ours.safetensors"
        save_file(tensors, str(file))
        with pytest.raises(ModelError, match=said):
            convert(file, out, TABLE)
        assert not out.exists()


def test_an_unverified_map_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        apply(published(), TABLE, "here")
    with pytest.warns(UnverifiedMapWarning, match="compared with no published code"):
        _, report = apply(published(), TensorMap("toy", TABLE.tensors, TABLE.ignored, TABLE.prefixes), "here")
    assert not report.verified


def test_files_that_cannot_be_used(tmp_path) -> None:
    objects = tmp_path / "objects.pt"
    torch.save({"state_dict": {"w": TABLE}}, objects)
    (tmp_path / "damaged.safetensors").write_bytes(b"nothing")
    (tmp_path / "damaged.pt").write_bytes(pickle.dumps([1])[:3])
    torch.save({"w": 3}, tmp_path / "numbers.pt")
    (tmp_path / "other.npz").write_bytes(b"")
    for name, said in (
        ("objects.pt", "not unpickled"),
        ("damaged.safetensors", "cannot be read"),
        ("damaged.pt", "cannot be read|not unpickled"),
        ("numbers.pt", "no state dict"),
        ("other.npz", "is not read"),
        ("absent.pt", "no such file"),
    ):
        with pytest.raises(ModelError, match=said):
            read_checkpoint(tmp_path / name)


def test_a_file_converted_for_another_map_is_refused(tmp_path) -> None:
    save_file(published(), str(tmp_path / "theirs.safetensors"))
    convert(tmp_path / "theirs.safetensors", tmp_path / "ours.safetensors", TABLE)
    with pytest.raises(ModelError, match="converted for toy, not for another"):
        load_state(tmp_path / "ours.safetensors", TensorMap("another", TABLE.tensors, verified=True))
