"""Fresh weights for a trained module: the random twin that a score is read against.

Every submodule that can (``reset_parameters``) draws its parameters anew. Parameters are overwritten with NaN first, so
one that nobody redraws is noticed, and then refused: a twin that is half trained would be no twin (ours).
"""

from __future__ import annotations

from typing import Any

from otoscope.core.errors import ModelError
from otoscope.models.devices import seeded


def reinitialise(module: Any, seed: int, where: str) -> None:
    """Redraw all parameters of ``module`` in place under ``seed``. Buffers stay, but for those that a
    ``reset_parameters`` resets (running statistics). Raises :class:`ModelError`, naming the parameters, and leaves the
    module as it was, where some have no known way to be drawn."""
    import torch

    before = {k: v.detach().clone() for k, v in module.state_dict().items() if isinstance(v, torch.Tensor)}
    with torch.no_grad(), seeded(seed):
        for parameter in module.parameters():
            parameter.fill_(float("nan"))
        for part in reversed(list(module.modules())):  # children first: a parent may redraw what its parts drew
            draw = getattr(part, "reset_parameters", None) or getattr(part, "_reset_parameters", None)
            if callable(draw):
                draw()
        left = [name for name, p in module.named_parameters() if not torch.isfinite(p).all()]
        if not left:
            return
        for name, tensor in module.state_dict().items():
            if name in before:
                tensor.copy_(before[name])
    some = ", ".join(left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
    raise ModelError(
        f"init=random cannot redraw {some}",
        where=where,
        fix="Give the module that owns them a reset_parameters method.",
    )
