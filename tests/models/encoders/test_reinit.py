"""Redrawing weights: all of them, or none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from otoscope.core.errors import ModelError
from otoscope.models.encoders.reinit import reinitialise
from otoscope.models.weights import state_digest


def trained() -> nn.Module:
    net = nn.Sequential(
        nn.Conv1d(1, 8, 5), nn.BatchNorm1d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8, 8), nn.LayerNorm(8)
    )
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(0.5)
        net[1].running_mean.fill_(3.0)
    return net


def test_the_seed_decides() -> None:
    nets = [trained() for _ in range(3)]
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        reinitialise(net, seed, "net")
    a, b, c = (state_digest(n.state_dict()) for n in nets)
    assert a == b != c
    assert nets[0][1].running_mean.abs().max() == 0.0
    assert not (nets[0][0].weight == 0.5).any()


def test_attention_is_redrawn_whole() -> None:
    net = nn.TransformerEncoderLayer(16, 2, 32)
    with torch.no_grad():
        for p in net.parameters():
            p.fill_(0.5)
    reinitialise(net, 1, "net")
    assert not any((p == 0.5).any() for p in net.parameters())


class Loose(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.token = nn.Linear(4, 4), nn.Parameter(torch.full((4,), 0.25))


def test_a_parameter_that_nobody_redraws_refuses_and_restores() -> None:
    net = Loose()
    before = state_digest(net.state_dict())
    with pytest.raises(ModelError, match=r"init=random cannot redraw token. Give the module"):
        reinitialise(net, 1, "net")
    assert state_digest(net.state_dict()) == before


def test_weight_norm_is_refused_because_its_parts_are_not_redrawn() -> None:
    net = nn.Sequential(torch.nn.utils.parametrizations.weight_norm(nn.Conv1d(1, 2, 3)))
    before = state_digest(net.state_dict())
    with pytest.raises(ModelError, match=r"parametrizations\.weight\.original0"):
        reinitialise(net, 1, "net")
    assert state_digest(net.state_dict()) == before


def test_a_parent_may_redraw_what_is_its_own() -> None:
    class Token(Loose):
        def reset_parameters(self) -> None:
            nn.init.normal_(self.token)

    net = Token()
    reinitialise(net, 1, "net")
    assert not (net.token == 0.25).any()


def test_nobody_elses_random_numbers_are_used() -> None:
    net = trained()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    reinitialise(net, 9, "net")
    assert torch.equal(torch.rand(3), expected)
