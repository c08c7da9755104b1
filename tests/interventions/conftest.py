"""The fact sheet's tiny flow network, its inputs, and a stage that every test must leave as it was."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.models.separators.dit import DiTConfig, FlowNetwork


def _module(name: str) -> Any:
    """The conftest of a neighbouring folder of tests."""
    path = Path(__file__).parents[1] / name / "conftest.py"
    spec = importlib.util.spec_from_file_location(f"interventions_{name.replace('/', '_')}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


checkpoint = _module("models").checkpoint  # a fixture: small random checkpoints by family

TINY = DiTConfig(
    dim=64,
    heads=4,
    layers=4,
    latent=8,
    text_dim=24,
    video_dim=16,
    anchor_dim=8,
    frequencies=32,
    multiple_of=8,
    max_positions=256,
)


@pytest.fixture
def flow() -> FlowNetwork:
    """No weight at a value that hides a mistake: no closed gate."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = FlowNetwork(TINY).eval().requires_grad_(False)
    for name, p in network.named_parameters():
        if name.endswith("gate"):
            p.fill_(0.5)
    return network


@pytest.fixture
def inputs() -> dict[str, Tensor]:
    """Two sounds of 12 frames with a text of 5 tokens, both with padding."""
    g = torch.Generator().manual_seed(1)
    mixture = torch.randn(2, 12, 8, generator=g)
    return {
        "state": torch.randn(2, 12, 16, generator=g),
        "time": torch.tensor(0.25),
        "mixture": torch.cat([mixture, mixture], -1),
        "text": torch.randn(2, 5, 24, generator=g),
        "text_mask": torch.arange(5) < torch.tensor([[5], [3]]),
        "mask": torch.arange(12) < torch.tensor([[12], [9]]),
    }


@pytest.fixture
def untouched() -> Iterator[Callable[[nn.Module], nn.Module]]:
    """``untouched(network)``: whatever the test does, no module has a ``forward`` of its own in the end, and the
    weights are the same bits."""
    watched: list[tuple[nn.Module, dict[str, Any]]] = []

    def watch(network: nn.Module) -> nn.Module:
        watched.append((network, {k: v.clone() for k, v in network.state_dict().items()}))
        return network

    yield watch
    for network, before in watched:
        assert [name for name, m in network.named_modules() if "forward" in m.__dict__] == []
        assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
