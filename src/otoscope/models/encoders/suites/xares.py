"""An encoder that was written for X-ARES: a ``torch.nn.Module`` whose class name ends in ``Encoder``.

It says ``sampling_rate`` (Hz), ``output_dim`` and ``hop_size_in_ms``, and ``forward(audio [B, n])`` gives ``[B, T, D]``
(X-ARES, ``audio_encoder_checker.py``, v0.1.3). There sounds of one batch are padded to one length and no lengths are
told; here only sounds of one length go in together.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from otoscope.core.errors import ModelError, UsageError
from otoscope.core.naming import Scalar
from otoscope.core.nouns import Encoder
from otoscope.models.encoders.adapt import adapt

if TYPE_CHECKING:
    from otoscope.models.encoders.suites.source import Foreign


class XaresNetwork(torch.nn.Module):
    """What :class:`~otoscope.models.encoders.objects.TorchEncoder` takes, around an encoder of X-ARES."""

    channels = 1

    def __init__(self, encoder: Any, where: str) -> None:
        from otoscope.models.encoders.suites.source import number

        super().__init__()
        if not isinstance(encoder, torch.nn.Module):
            raise ModelError(f"is a {type(encoder).__name__}, where X-ARES takes a torch.nn.Module", where=where)
        self.encoder, self.where = encoder, where
        self.rate = int(number(encoder, "sampling_rate", where))
        self.width = int(number(encoder, "output_dim", where))
        self.hop_s = number(encoder, "hop_size_in_ms", where, whole=False) / 1000
        self.summary = f"{type(encoder).__name__}, written for X-ARES"

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[B, 1, n]`` -> ``[B, T, D]``. Raises :class:`ModelError` on anything else that comes out."""
        y = self.encoder(x[:, 0])
        shape = tuple(y.shape) if isinstance(y, torch.Tensor) else type(y).__name__
        if not isinstance(y, torch.Tensor) or y.ndim != 3 or y.shape[0] != len(x) or y.shape[2] != self.width:
            raise ModelError(f"gave {shape}, and X-ARES takes [{len(x)}, T, {self.width}]", where=self.where)
        return y


def xares_encoder(found: Foreign, params: Mapping[str, Scalar], **more: Any) -> Encoder:
    """The encoder of a file or module; ``more`` is :func:`adapt`'s.

    Raises :class:`UsageError` where it is not clear which class is meant."""
    module, path = found.load()
    own = [k for k, v in vars(module).items() if k.endswith("Encoder") and inspect.isclass(v)]
    here = [k for k in own if getattr(module, k).__module__ == module.__name__] or own
    name = found.attribute or (here[0] if len(here) == 1 else "")
    if not name:
        listed = f"It has {', '.join(here)}: write {found.name}#{here[0]}." if here else "X-ARES looks for that suffix."
        raise UsageError(f"holds {len(here)} classes whose names end in Encoder", where=found.place, fix=listed)
    kind = getattr(module, name, None)
    if not inspect.isclass(kind):
        raise UsageError(f"defines no class {name!r}", where=found.place, fix=f"It has: {', '.join(own) or 'none'}.")

    def make(encoder_class: str, **own: Any) -> XaresNetwork:  # the class counts in the identity
        return XaresNetwork(kind(**own), f"{found.place}#{encoder_class}")

    return adapt(make, name=found.name, params={"encoder_class": name, **params}, source=path, **more)
