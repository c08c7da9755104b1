"""From a name to a model.

A name is a registered name, a hub id (``org/name``), a folder with a checkpoint, ``file:my_model.py#Net``, an encoder
written for another suite (``xares:my_encoder.py``, ``hear:package.module``), or a Python object. What follows the
colon is split here: ``layer``, ``pool``, ``channels`` and ``merge`` say how the model is looked at, the rest goes to
the model itself. Nothing is loaded, and torch is not imported, before it must be.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otoscope.core.errors import ModelError, UsageError
from otoscope.core.naming import Scalar, Spec, parse_spec
from otoscope.core.nouns import AudioLM, Card, Encoder, Model, Observer, Separator
from otoscope.core.registry import load_from_file, suggestions
from otoscope.models.audiolms.cards import CARDS_BY_HUB_ID
from otoscope.models.audiolms.names import is_audio_lm
from otoscope.models.catalogue import MODELS
from otoscope.models.encoders.hub_cards import BY_HUB_ID
from otoscope.models.encoders.view import VIEW_PARAMS, EncoderView
from otoscope.models.groups import GROUPS, expand

_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$")

#: Beginnings of names of encoders that were written for other suites.
FOREIGN = ("xares:", "hear:")

#: What the name of a checkpoint (hub id or folder) can be given, besides the view's parameters.
CHECKPOINT_PARAMS = ("path", "revision", "dtype", "normalize", "tokens", "init", "seed")
#: What the name of a user's class can be given, besides the view's parameters and its constructor's.
OBJECT_PARAMS = ("rate", "init", "seed")


def resolve(target: Any, *, trust_remote_code: bool = False, device: str = "cpu") -> Model:
    """The model that ``target`` (a name, a :class:`Spec`, or a Python object) stands for, not loaded.

    Encoders come back as :class:`EncoderView`, with ``embed(list[Audio]) -> list[dict[Layer, vector]]``; observers with
    ``decide``, separators with ``separate``, audio language models with ``generate``. ``device`` is ``cpu``, ``cuda``,
    ``cuda:1`` or ``auto``; it never enters an identity.

    Raises :class:`UsageError` on a name or parameter that does not exist (near ones are named) and
    :class:`ModelError` where the object or the checkpoint cannot be used.
    """
    if isinstance(target, str):
        target = parse_spec(target)
    if not isinstance(target, Spec):
        return _from_object(target, device)
    name = target.name
    if name in GROUPS:
        raise UsageError(
            f"{name!r} stands for {len(GROUPS[name].members)} models, where one is wanted",
            fix=f"It has: {', '.join(map(str, expand(target)))}.",
        )
    if name in MODELS:
        return _from_registry(target, trust_remote_code, device)
    if name.startswith("file:"):
        found = load_from_file(name)
        return _from_factory(found, target, device, Path(name.removeprefix("file:").partition("#")[0]).expanduser())
    if name.startswith(FOREIGN):
        return _foreign(target, trust_remote_code, device)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _checkpoint(target, str(folder), None, trust_remote_code, device)
    if _HUB_ID.match(name):
        return _checkpoint(target, name, BY_HUB_ID.get(name) or CARDS_BY_HUB_ID.get(name), trust_remote_code, device)
    if "/" in name or "\\" in name or name.startswith((".", "~")):
        raise UsageError("no such folder", where=name, fix="Name a folder with a config.json, or a hub id org/name.")
    MODELS.entry(name)  # raises, with near names
    raise AssertionError("unreachable")


def load(name: Any, *, trust_remote_code: bool = False, device: str = "cpu", **params: Scalar) -> Model:
    """Resolve and load: ``otoscope.load("hubert-large", layer=12)``. Parameters may be in the name or in ``params``."""
    if params:
        if not isinstance(name, str | Spec):
            raise UsageError("parameters go with a name, not with an object", fix="Set them on the object.")
        spec = parse_spec(name) if isinstance(name, str) else name
        name = spec.with_params(**params)
    model = resolve(name, trust_remote_code=trust_remote_code, device=device)
    model.load()
    return model


def card_for(spec: Spec | str) -> Card:
    """The card of a name, without loading the model."""
    return resolve(spec).card


def random_twin(spec: Spec, seed: int) -> Spec:
    """The same architecture with fresh weights drawn under ``seed``."""
    return spec.with_params(init="random", seed=seed)


def twin_refusal(spec: Spec, *, trust_remote_code: bool = False) -> str | None:
    """Why ``spec`` has no random twin (nothing in it was drawn), or None. What can't be loaded is not judged here."""
    if spec.name.startswith(FOREIGN) and not trust_remote_code:
        return None  # it can't be had at all, which is said elsewhere
    try:
        resolve(random_twin(spec, 1), trust_remote_code=trust_remote_code)
    except UsageError as e:
        return str(e)
    except ModelError:
        return None
    return None


# --- where a name leads -----------------------------------------------------------------------------------------


def _from_registry(spec: Spec, trust_remote_code: bool, device: str) -> Model:
    entry = MODELS.entry(spec.name)
    found = entry.load()
    if isinstance(found, Card):
        return _checkpoint(spec, str(found.hub_id), found, trust_remote_code, device)
    if entry.kind in ("separator", "audiolm"):  # a function has no verb to be known by
        return _finished(found, spec, device)
    return _from_factory(found, spec, device, None)


def _from_object(target: Any, device: str) -> Model:
    if isinstance(target, EncoderView) or _is_finished(target):
        return target
    if isinstance(target, type) and _gives_finished(target):
        return target()
    from otoscope.models.encoders.adapt import adapt

    return EncoderView(adapt(target, device=device))


def _from_factory(found: Any, spec: Spec, device: str, source: Path | None) -> Model:
    """``found`` is what a registry entry, a plug-in or a file gives: a class, a function or a finished object."""
    from otoscope.models.encoders.adapt import adapt

    own, view = _split(spec)
    known = _parameters(found)
    if _gives_finished(found):
        return _finished(found, spec, device)
    extra: dict[str, Any] = {k: own.pop(k) for k in OBJECT_PARAMS if k in own and k not in known}
    if isinstance(view.get("channels"), int):  # channels=2 describes the network; a word is a policy
        extra["channels"] = view.pop("channels")
    check_known(spec, own, known, (*VIEW_PARAMS, *OBJECT_PARAMS))
    if "seed" in extra and extra.get("init") != "random":
        raise UsageError(f"{spec.name!r} takes seed only together with init=random", where=str(spec))
    encoder = adapt(found, name=spec.name, params=own, source=source, device=device, **extra)
    return _view(encoder, view)


def _foreign(spec: Spec, trust: bool, device: str) -> Model:
    from otoscope.models.encoders.suites.source import foreign_encoder

    own, view = _split(spec)
    return _view(foreign_encoder(spec, own, trust=trust, device=device), view)


def _finished(found: Any, spec: Spec, device: str) -> Model:
    """The observer or separator that ``found`` is or makes. What takes a ``device`` is told it; no name does."""
    known = _parameters(found)
    check_known(spec, dict(spec.params), tuple(k for k in known if k != "device"), ())
    told = {"device": device} if "device" in known else {}
    made = found(**spec.params, **told) if callable(found) else found
    if not _is_finished(made):
        kinds = {"decide": "an observer", "generate": "an audio language model", "separate": "a separator"}
        verb, noun = next((pair for pair in kinds.items() if hasattr(found, pair[0])), ("separate", "a separator"))
        raise UsageError(f"is not {noun}: it needs card, identity, load and {verb}", where=spec.name)
    return made


def _checkpoint(spec: Spec, source: str, card: Card | None, trust_remote_code: bool, device: str) -> Model:
    if card.capability == "audiolm" if card is not None else is_audio_lm(spec, source):
        return _audio_lm(spec, source, card, device)
    from otoscope.models.encoders.checkpoint import Checkpoint
    from otoscope.models.encoders.hf import PretrainedEncoder

    own, view = _split(spec)
    check_known(spec, own, CHECKPOINT_PARAMS, VIEW_PARAMS)
    if isinstance(view.get("channels"), int):
        own["channels"] = view.pop("channels")
    checkpoint = Checkpoint.from_params(spec.name, source, own)
    return _view(PretrainedEncoder(checkpoint, card=card, trust_remote_code=trust_remote_code, device=device), view)


def _audio_lm(spec: Spec, source: str, card: Card | None, device: str) -> Model:
    from otoscope.models.audiolms.hf import PARAMS, PretrainedAudioLM
    from otoscope.models.encoders.checkpoint import Checkpoint

    check_known(spec, spec.params, PARAMS, ())
    return PretrainedAudioLM(Checkpoint.from_params(spec.name, source, spec.params), card=card, device=device)


def _view(encoder: Encoder, params: Mapping[str, Any]) -> EncoderView:
    layer = params.get("layer", "last")
    if isinstance(layer, bool) or not isinstance(layer, int | str):
        raise UsageError(f"layer={layer} is not a layer", where=encoder.card.name, fix="Use a number, last or all.")
    return EncoderView(encoder, **{**params, "layer": layer})


# --- parameters -------------------------------------------------------------------------------------------------


def _split(spec: Spec) -> tuple[dict[str, Scalar], dict[str, Any]]:
    own = {k: v for k, v in spec.params.items() if k not in VIEW_PARAMS}
    return own, {k: v for k, v in spec.params.items() if k in VIEW_PARAMS}


def check_known(spec: Spec, given: Mapping[str, Any], own: tuple[str, ...], more: tuple[str, ...]) -> None:
    """Raise :class:`UsageError` on a parameter that nobody takes, with the nearest ones."""
    known = list(dict.fromkeys([*own, *more]))
    for key in given:
        if key not in known:
            near = suggestions(key, known)
            hint = f"Did you mean {' or '.join(near)}? " if near else ""
            raise UsageError(
                f"model {spec.name!r} has no parameter {key!r}",
                fix=f"{hint}It has: {', '.join(known) or 'none'}.",
            )


def _parameters(found: Any) -> tuple[str, ...]:
    """Names of what a class or function can be given."""
    if not callable(found) or not (inspect.isclass(found) or inspect.isroutine(found)):
        return ()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    try:
        signature = inspect.signature(found)
    except (TypeError, ValueError):  # some extension types have no signature to read
        return ()
    return tuple(p.name for p in signature.parameters.values() if p.kind in kinds)


def _is_finished(thing: Any) -> bool:
    """Anything but an encoder: used as it is, where an encoder is adapted and looked at through a view."""
    return not isinstance(thing, type) and isinstance(thing, Observer | Separator | AudioLM)


def _gives_finished(found: Any) -> bool:
    if _is_finished(found) or any(callable(getattr(found, verb, None)) for verb in ("decide", "separate")):
        return True
    # Networks of transformers have a generate of their own; only together with an identity is it ours.
    return all(callable(getattr(found, verb, None)) for verb in ("generate", "identity"))
