"""Weights, gradients and optimiser states divided among processes: torch's FSDP2 (``fully_shard``), by layers.

A step is the one of replicated processes; what is kept and averaged is whole, on every process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from otoscope.core.errors import UsageError
from otoscope.training.uniwhisper.network import Listener


def shard(listener: Listener, device: torch.device) -> None:
    """Divide ``listener`` in place: each layer of the encoder and of the decoder by itself, the rest together. Raises
    :class:`UsageError` in a process that is alone."""
    from torch.distributed import get_world_size, is_initialized
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    if not is_initialized():
        fix = "Start with accelerate launch or torchrun, or leave sharding out."
        raise UsageError("sharding wants several processes", where="run", fix=fix)
    mesh = init_device_mesh(device.type, (get_world_size(),))
    for layer in (*listener.encoder.layers, *_layers(listener.lm)):
        fully_shard(layer, mesh=mesh)
    fully_shard(listener, mesh=mesh)


def _layers(lm: Any) -> list[Any]:
    """The decoder's layers: the longest list of modules in it."""
    lists = [list(m) for m in lm.modules() if isinstance(m, torch.nn.ModuleList)]
    return max(lists, key=len, default=[])


def whole(tensor: Tensor) -> Tensor:
    """A divided tensor put together (all processes must ask), and any other as it is."""
    found: Tensor = getattr(tensor, "full_tensor", lambda: tensor)()
    return found


def gathered(listener: Listener, optimiser: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Trained weights and optimiser states, whole, in main memory of the first process (empty in others). All processes
    must ask."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

    options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True)
    weights, states = get_state_dict(listener, optimiser, options=options)
    wanted = {n for n, p in listener.named_parameters() if p.requires_grad}  # a tied head once
    return {n: t for n, t in weights.items() if n in wanted and isinstance(t, Tensor)}, dict(states)


def restore(listener: Listener, optimiser: Any, weights: Mapping[str, Tensor], states: Mapping[str, Any]) -> None:
    """The inverse of :func:`gathered`, of whole tensors that every process has read."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_state_dict

    options = StateDictOptions(full_state_dict=True, strict=False, ignore_frozen_params=True)
    set_state_dict(listener, optimiser, model_state_dict=dict(weights), optim_state_dict=dict(states), options=options)
