"""Turn what users have into an encoder.

Three shapes are taken, as a class, a function that makes one, or a finished object:

* a ``torch.nn.Module`` with ``rate`` and ``channels``: called with float32 ``[B, C, n]`` in evaluation mode, without
  gradients. Of a tuple the first entry counts, of a library output ``last_hidden_state`` (and ``hidden_states`` as
  layers 0, 1, ...); a mapping gives named layers, the last of which is ``last``;
* an object with ``rate``, ``channels`` and ``encode(x: ndarray [B, C, n])``, which gives an array or a mapping;
* whatever already is an encoder (``card``, ``identity``, ``load``, ``encode``): taken as it is.

Frames may be ``[B, T, D]``, ``[B, C, T, D]`` or ``[B, D]``. Optional attributes: ``hop_s``, ``layers``,
``declared_cues``, ``summary``, ``licence``, ``notes``, ``breaks``, and of a module ``sites`` (a
:class:`~otoscope.core.sites.SiteMap`), where interventions can act.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from otoscope.core.errors import ModelError, OtoscopeError, UsageError
from otoscope.core.nouns import Encoder

_SHAPES = (
    "An encoder is a torch.nn.Module with rate and channels, or an object with rate, channels and encode(x), or one "
    "with card, identity, load and encode."
)


def adapt(
    thing: Any,
    *,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    source: Path | None = None,
    device: str = "cpu",
    rate: int | None = None,
    channels: int | None = None,
    init: str | None = None,
    seed: int | None = None,
) -> Encoder:
    """``thing`` as an :class:`~otoscope.core.nouns.Encoder`, not yet on its device.

    ``params`` go to a class or function; ``source`` is the file it comes from; ``rate`` and ``channels`` replace the
    attributes; ``init="random"`` draws the module's weights anew under ``seed``. A module is built under a fixed seed,
    so that one which starts from random weights is the same in every process.

    Raises :class:`UsageError` on parameters that don't fit and :class:`ModelError` on something that is no encoder.
    """
    from otoscope.models.encoders.checkpoint import check_init
    from otoscope.models.encoders.objects import ArrayEncoder, Origin, TorchEncoder
    from otoscope.models.encoders.reference_adapter import ReferenceEncoder

    name = name or _name_of(thing)
    if init is not None:
        check_init(init, seed, name)
    random_seed = (seed or 0) if init == "random" else None
    params = dict(params or {})
    factory = thing if inspect.isclass(thing) or inspect.isroutine(thing) else None
    made = _build(factory, params, name) if factory is not None else thing
    if factory is None and params:
        raise UsageError(f"{name!r} is an object and takes no parameters", fix="Name its class instead.")

    again: Callable[[], Encoder] | None = None
    if factory is not None:

        def again() -> Encoder:
            return adapt(
                factory,
                name=name,
                params=params,
                source=source,
                device=device,
                rate=rate,
                channels=channels,
                init=init,
                seed=seed,
            )

    if is_module(made):
        origin = Origin(name, made, params, source, again, rate, channels)
        return TorchEncoder(origin, device=device, random_seed=random_seed)
    reference = callable(getattr(made, "frames", None)) and hasattr(made, "declared_cues")
    if reference or isinstance(made, Encoder):
        if rate is not None or channels is not None:
            raise UsageError(f"{name!r} describes itself: rate and channels cannot be given from outside")
        if reference:
            return ReferenceEncoder(made, random_seed=random_seed)
        if init is not None:
            raise UsageError(f"{name!r} takes no init", fix="Give its class init and seed parameters of its own.")
        if factory is not None:  # made here and not loaded yet: encoders of ours run where they are told
            if callable(getattr(made, "on", None)):
                return made.on(device)
            if isinstance(getattr(made, "device", None), str):
                made.device = device
        return made
    if callable(getattr(made, "encode", None)):
        if init == "random":
            raise UsageError(
                f"{name!r} has no weights that can be drawn anew from outside",
                fix="Give its class init and seed parameters of its own, or make it a torch.nn.Module.",
            )
        return ArrayEncoder(Origin(name, made, params, source, again, rate, channels))
    raise ModelError(f"a {type(made).__name__} is no encoder", where=name, fix=_SHAPES)


def is_module(thing: Any) -> bool:
    """Whether ``thing`` is a ``torch.nn.Module``; doesn't import torch, because a module has."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)


def _build(factory: Callable[..., Any], params: Mapping[str, Any], name: str) -> Any:
    if "torch" in sys.modules:
        from otoscope.models.devices import seeded

        fixed: Any = seeded(0)
    else:
        fixed = nullcontext()
    try:
        with fixed:
            return factory(**params)
    except OtoscopeError:
        raise
    except TypeError as e:
        raise UsageError(
            f"cannot be made: {e}", where=name, fix="Its parameters go after the colon of the name."
        ) from e
    except Exception as e:  # the user's own constructor
        raise ModelError(f"cannot be made: {type(e).__name__}: {e}", where=name) from e


def _name_of(thing: Any) -> str:
    own = getattr(thing, "name", None)
    return own if isinstance(own, str) else (thing if inspect.isroutine(thing) else _class_of(thing)).__name__


def _class_of(thing: Any) -> type:
    return thing if inspect.isclass(thing) else type(thing)
