"""Devices and determinism."""

from __future__ import annotations

import pytest
import torch

from otoscope.core.errors import ModelError, UsageError
from otoscope.models import devices


def test_names() -> None:
    assert devices.pick("cpu") == torch.device("cpu")
    assert devices.pick("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    for wrong in ("gpu", "cpu:1", "cuda:x", ""):
        with pytest.raises(UsageError, match="there is no device"):
            devices.pick(wrong)
    with pytest.raises(ModelError, match="is not there"):
        devices.pick("cuda:999")


def test_settled_for_repeatable_numbers() -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    threads = torch.get_num_threads()
    try:
        devices.settle(threads=1)
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
        assert not torch.backends.cudnn.benchmark
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(threads)
    with pytest.raises(UsageError, match="at least 1"):
        devices.settle(threads=0)


def test_seeded_leaves_the_generator_as_it_was() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with devices.seeded(7):
        a = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with devices.seeded(7):
        assert torch.equal(torch.rand(2), a)


def test_precisions() -> None:
    assert devices.torch_dtype("bfloat16") is torch.bfloat16
    with pytest.raises(UsageError, match="dtype=int8"):
        devices.torch_dtype("int8")
