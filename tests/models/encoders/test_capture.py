"""Watching parts of a network."""

from __future__ import annotations

import pytest
import torch

from otoscope.models.encoders.capture import capture


def test_outputs_are_seen_and_the_hooks_are_gone_afterwards() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    x = torch.ones(1, 2)
    with capture({"linear": net[0], 1: net[1]}) as seen:
        y = net(x)
        net(2 * x)
    assert len(seen["linear"]) == len(seen[1]) == 2
    assert torch.equal(seen[1][0], y)
    assert not net[0]._forward_hooks
    net(x)
    assert len(seen[1]) == 2


def test_hooks_are_gone_after_an_exception() -> None:
    net = torch.nn.Linear(2, 3)
    with pytest.raises(RuntimeError), capture({"net": net}):
        net(torch.ones(1, 5))
    assert not net._forward_hooks


def test_of_a_tuple_the_first_is_kept() -> None:
    gru = torch.nn.GRU(2, 3)
    with capture({"gru": gru}) as seen:
        out, _ = gru(torch.ones(4, 1, 2))
    assert torch.equal(seen["gru"][0], out)
