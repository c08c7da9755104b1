"""Digests of weights."""

from __future__ import annotations

import os

import pytest
import torch

from otoscope.core.errors import ModelError
from otoscope.models.weights import files_digest, state_digest


def test_the_order_of_a_state_dict_does_not_matter() -> None:
    a, b = torch.arange(6.0).reshape(2, 3), torch.ones(2)
    assert state_digest({"a": a, "b": b}) == state_digest({"b": b, "a": a})


@pytest.mark.parametrize(
    "changed",
    [
        {"a": torch.arange(6.0).reshape(3, 2)},
        {"a": torch.arange(6.0).reshape(2, 3).double()},
        {"A": torch.arange(6.0).reshape(2, 3)},
        {"a": torch.arange(6.0).reshape(2, 3) + torch.eye(2, 3) * 1e-6},
        {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(0)},
        {"a": torch.arange(6.0).reshape(2, 3), "version": 3},
    ],
)
def test_everything_else_does(changed) -> None:
    assert state_digest(changed) != state_digest({"a": torch.arange(6.0).reshape(2, 3)})


def test_layouts_and_kinds_of_tensor() -> None:
    x = torch.arange(6.0).reshape(2, 3)
    assert state_digest({"a": x.T.contiguous().T}) == state_digest({"a": x})  # strides are not content
    for odd in (torch.tensor(True), torch.tensor(1, dtype=torch.int64), torch.ones(3, dtype=torch.bfloat16)):
        assert len(state_digest({"a": odd})) == 64


def test_files(tmp_path) -> None:
    (tmp_path / "a").write_bytes(b"one")
    (tmp_path / "b").write_bytes(b"two")
    whole = files_digest(tmp_path, ["a", "b"])
    assert files_digest(tmp_path, ["b", "a"]) == whole
    assert files_digest(tmp_path, ["a"]) != whole
    (tmp_path / "b").write_bytes(b"2wo")  # as long as before
    os.utime(tmp_path / "b", ns=(1, 1))
    assert files_digest(tmp_path, ["a", "b"]) != whole
    with pytest.raises(ModelError, match=r"c: the file is missing"):
        files_digest(tmp_path, ["c"])
    (tmp_path / "d").mkdir()
    with pytest.raises(ModelError, match=r"d: cannot be read"):
        files_digest(tmp_path, ["d"])
