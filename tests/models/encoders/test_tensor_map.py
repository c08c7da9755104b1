"""Published tensors to ours: every one used, ignored with a reason, or missing."""

from __future__ import annotations

import argparse
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from otoscope.core.errors import ModelError, StoreError, UsageError
from otoscope.core.identity import file_digest
from otoscope.models.encoders.tensor_file import read_tensors
from otoscope.models.encoders.tensor_map import (
    MARK,
    TensorMap,
    UnverifiedMapWarning,
    apply,
    blueprint,
    convert,
    load_state,
    shapes_of,
)


class Toy(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w, self.b = torch.nn.Parameter(torch.zeros(2, 3)), torch.nn.Parameter(torch.zeros(2))
        self.norm = torch.nn.BatchNorm1d(2, affine=False)


TABLE = TensorMap(
    "toy",
    ((r"w", "layer.weight"), (r"b", "layer.bias"), (r"norm\.running_(mean|var)", r"bn.\1")),
    ((r"head\..*", "the classifier isn't used"),),
    (r"^net\.",),
    verified=True,
)
SHAPES = shapes_of(Toy())


def published(prefix: str = "net.") -> dict[str, torch.Tensor]:
    gen = torch.Generator().manual_seed(1)
    out = {"layer.weight": (2, 3), "layer.bias": (2,), "bn.mean": (2,), "bn.var": (2,)}
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
    out = tmp_path / "ours.safetensors"
    report = convert(file, out, TABLE, SHAPES)
    assert report.used[2:] == ((prefix + "layer.bias", "b", (2,)), (prefix + "layer.weight", "w", (2, 3)))
    assert report.ignored == (("head.weight", "the classifier isn't used"),)
    assert len(report.lines()) == len(tensors)
    assert any("ignored  head.weight: the classifier" in line for line in report.lines())
    assert f"used     {prefix}layer.weight -> w [2, 3]" in report.lines()
    with safe_open(str(out), "pt") as converted:
        assert converted.metadata() == {MARK: "toy", "source_sha256": file_digest(file)}
        assert torch.equal(converted.get_tensor("w"), tensors[prefix + "layer.weight"])
    for path in (file, out):
        network = Toy()
        assert {ours for _, ours, _ in load_state(network, path, TABLE).used} == set(SHAPES)
        assert torch.equal(network.b, tensors[prefix + "layer.bias"])
        assert torch.equal(network.norm.running_var, tensors[prefix + "bn.var"])


def test_what_does_not_fit_is_an_error_that_names_it(tmp_path) -> None:
    whole, file, out = published(), tmp_path / "theirs.safetensors", tmp_path / "ours.safetensors"
    nan = whole["net.layer.bias"] * float("nan")
    for tensors, said in (
        ({k: v for k, v in whole.items() if "bias" not in k}, r"lacks 1 .*: layer\.bias"),
        ({**whole, "net.layer.bias": torch.zeros(3)}, r"another shape .*: net\.layer\.bias \[3\], not \[2\]"),
        ({**whole, "net.extra": torch.zeros(1)}, r"unknown 1 .*: net\.extra"),
        ({**whole, "layer.bias": torch.zeros(2)}, r"twice 1 .*: layer\.bias and net\.layer\.bias"),
        ({**whole, "net.layer.bias": nan}, r"NaN .*: net\.layer\.bias"),
        ({"head.weight": torch.zeros(4)}, r"lacks 4 .*layer\.bias, .* and 1 more"),
    ):
        save_file(tensors, str(file))
        with pytest.raises(ModelError, match=said):
            convert(file, out, TABLE, SHAPES)
        with pytest.raises(ModelError, match=said):
            load_state(Toy(), file, TABLE)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["theirs.safetensors"]


def test_a_map_must_suit_the_network() -> None:
    with pytest.raises(ModelError, match="no rule for the network's tensor b"):
        apply(published(), replace(TABLE, rules=TABLE.rules[::2]), SHAPES, "here")
    with pytest.raises(ModelError, match="one published tensor twice"):
        apply(published(), replace(TABLE, rules=((".*", "layer.bias"),)), SHAPES, "here")


def test_a_blueprint_holds_no_weights() -> None:
    made = []

    def build() -> Toy:
        made.append(Toy())
        return made[0]

    assert blueprint(build) == SHAPES
    assert made[0].w.is_meta
    assert "norm.num_batches_tracked" in made[0].state_dict()
    assert "norm.num_batches_tracked" not in SHAPES


def test_an_unverified_map_warns() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        apply(published(), TABLE, SHAPES, "here")
    with pytest.warns(UnverifiedMapWarning, match="compared with no published code"):
        _, report = apply(published(), replace(TABLE, verified=False), SHAPES, "here")
    assert not report.verified


def test_files_that_cannot_be_used(tmp_path) -> None:
    torch.save({"state_dict": {"w": TABLE}}, tmp_path / "objects.pt")
    torch.save({"model": {"w": torch.ones(2)}, "hook": Path("x").exists}, tmp_path / "code.pt")
    (tmp_path / "damaged.safetensors").write_bytes(b"nothing")
    (tmp_path / "damaged.pt").write_bytes(pickle.dumps([1])[:3])
    torch.save({"w": 3}, tmp_path / "numbers.pt")
    torch.save([torch.ones(2)], tmp_path / "list.pt")
    torch.save({"state_dict": {}}, tmp_path / "empty.pt")
    np.savez(tmp_path / "other.npz", w=np.ones(2))
    for name, said in (
        ("objects.pt", "cannot be read: .*not unpickled"),
        ("code.pt", "cannot be read: .*not unpickled"),
        ("damaged.safetensors", "cannot be read"),
        ("damaged.pt", "cannot be read"),
        ("numbers.pt", "no state dict: w, no tensor"),
        ("list.pt", "no state dict"),
        ("empty.pt", "no state dict"),
        ("other.npz", "cannot be read"),
        ("absent.pt", "no such file"),
    ):
        with pytest.raises(ModelError, match=said) as caught:
            read_tensors(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_a_class_beside_the_tensors_is_read_where_the_map_allows_it(tmp_path) -> None:
    file = tmp_path / "no-suffix"
    torch.save({"model": {"w": torch.ones(2)}, "args": argparse.Namespace(lr=1.0)}, file)
    assert torch.equal(read_tensors(file, (argparse.Namespace,))[0]["w"], torch.ones(2))
    with pytest.raises(ModelError, match="not unpickled"):
        read_tensors(file)


def test_a_converted_file_serves_its_own_map_only_and_is_not_converted_again(tmp_path) -> None:
    source, out = tmp_path / "theirs.safetensors", tmp_path / "ours.safetensors"
    save_file(published(), str(source))
    convert(source, out, TABLE, SHAPES)
    with pytest.raises(ModelError, match="converted for toy, not for another"):
        load_state(Toy(), out, replace(TABLE, name="another"))
    with pytest.raises(ModelError, match="converted already, for toy"):
        convert(out, tmp_path / "again.safetensors", TABLE, SHAPES)
    with safe_open(str(out), "pt") as file:
        tensors, metadata = {k: file.get_tensor(k) for k in file.keys()}, file.metadata()  # noqa: SIM118
    del tensors["b"]
    save_file(tensors, str(out), metadata)
    with pytest.raises(ModelError, match=r"lacks 1 .*: b"):
        load_state(Toy(), out, TABLE)


def test_the_target_of_a_conversion(tmp_path) -> None:
    source, out = tmp_path / "theirs.safetensors", tmp_path / "ours.safetensors"
    save_file(published(), str(source))
    out.write_bytes(b"precious")
    with pytest.raises(UsageError, match="exists"):
        convert(source, out, TABLE, SHAPES)
    assert out.read_bytes() == b"precious"
    with pytest.raises(UsageError, match=r"\.safetensors file"):
        convert(source, tmp_path / "ours.pt", TABLE, SHAPES)
    with pytest.raises(UsageError, match="made from"):
        convert(source, source, TABLE, SHAPES, force=True)
    with pytest.raises(StoreError):
        convert(source, tmp_path / "nowhere" / "ours.safetensors", TABLE, SHAPES)
    convert(source, out, TABLE, SHAPES, force=True)
    assert {ours for _, ours, _ in load_state(Toy(), out, TABLE).used} == set(SHAPES)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ours.safetensors", "theirs.safetensors"]
