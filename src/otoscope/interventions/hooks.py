"""The one engine: observe, change or skip named places of a foreign network for the duration of a context.

Actions say *where* (a :class:`~otoscope.core.sites.Place`), *when* (a predicate over the clock) and *what*. For the
duration of :func:`hooked` the modules concerned are called through a wrapper that stands in the instance's ``forward``;
the class, the modelling file and the weights are untouched. Leaving the context, also by an exception, takes the
wrapper away. Contexts nest; at one place the actions of the outer context come first, and within a context they come
in the order given: inputs, then at most one skip (the first that answers), then outputs. Actions inside an attention
core are handed to :mod:`otoscope.interventions.attention`.

State belongs to the actions' owner, who makes it anew for every context. The wrapper is seen by all threads that call
the network meanwhile; one network runs under one context at a time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from otoscope.core import clock
from otoscope.core.clock import Tick
from otoscope.core.errors import ModelError, UsageError
from otoscope.core.sites import Place, Site, SiteMap
from otoscope.interventions.attention import attending

When = Callable[[Tick], bool]
_INSIDE = ("query", "key", "value", "attention_map", "attention_result")


@dataclass(frozen=True)
class Observe:
    """Show ``see`` the value at ``place`` (it must not change it). ``shadow``: in shadow evaluations (see
    :class:`~otoscope.core.clock.Tick`), where no other action acts, and only there."""

    place: Place
    see: Callable[[Any], None]
    when: When | None = None
    shadow: bool = False

    def apply(self, value: Any) -> Any:
        self.see(value)
        return value


@dataclass(frozen=True)
class Change:
    """Put ``make(value)`` where the value at ``place`` was."""

    place: Place
    make: Callable[[Any], Any]
    when: When | None = None

    def apply(self, value: Any) -> Any:
        return self.make(value)


@dataclass(frozen=True)
class Skip:
    """Instead of the module's computation, use ``instead(module, args, kwargs)``. ``place`` is an output."""

    place: Place
    instead: Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], Any]
    when: When | None = None


Action = Observe | Change | Skip


@contextmanager
def hooked(network: nn.Module, sites: SiteMap, actions: Sequence[Action]) -> Iterator[None]:
    """Act in ``network`` inside. Raises :class:`ModelError` where the map names a module that the network lacks, and, on
    leaving, where the network ran without ever coming by a place (it cannot be reached there)."""
    if not actions:
        yield
        return
    by_path: dict[str, list[Action]] = {}
    for action in actions:
        if isinstance(action, Skip) and action.place.site.at != "output":
            raise UsageError(f"{action.place} is no output, so nothing can be skipped there")
        by_path.setdefault(action.place.path, []).append(action)
    found = {path: _module(network, sites, path) for path in by_path}
    root = _Root(sites)
    layers: list[tuple[_Wrapper, Any]] = []
    try:
        layers.append((_wrapper(network), root))
        layers[-1][0].stacks.append(root)
        for path, mine in by_path.items():
            wrapper, stack = _wrapper(found[path]), _Stack(mine)
            layers.append((wrapper, stack))
            wrapper.stacks.append(stack)
        yield
    finally:
        for wrapper, stack in reversed(layers):
            wrapper.drop(stack)
    unseen = [str(a.place) for _, s in layers if isinstance(s, _Stack) and not s.calls for a in s.actions]
    if root.calls and unseen:
        raise ModelError(
            f"{sites.family} ran without coming by {', '.join(dict.fromkeys(unseen))}",
            fix="Its modules are used in another way than its site map says; mend the map.",
        )


def places(sites: SiteMap, name: str, layers: Sequence[int] | int | None = None) -> list[Place]:
    """Where ``name`` is in all or some layers; see :meth:`SiteMap.places`."""
    return sites.places(name, [layers] if isinstance(layers, int) else layers)


def within(start: float = 0.0, end: float = 1.0) -> When:
    """When flow time is in ``[start, end)``, or anything up to 1 where ``end`` is 1. Raises :class:`ModelError` where
    nobody says the time."""

    def due(tick: Tick) -> bool:
        if tick.time is None:
            raise ModelError("flow time is not known here", fix="The site map must name the network's time argument.")
        return start <= tick.time and (tick.time < end or end >= 1.0)

    return due


# --- the wrapper ------------------------------------------------------------------------------------------------


class _Root:
    """Tells the clock the flow time from the network's own argument."""

    def __init__(self, sites: SiteMap) -> None:
        self.clock, self.calls = sites.clock, 0

    def run(self, module: nn.Module, inner: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.calls += 1
        if self.clock is None:
            return inner(*args, **kwargs)
        value = _take(module, self.clock, args, kwargs)
        time = float(value.reshape(-1)[0]) if isinstance(value, Tensor) else float(value)
        with clock.at(time=time):
            return inner(*args, **kwargs)


class _Stack:
    """One context's actions at one module."""

    def __init__(self, actions: Sequence[Action]) -> None:
        self.actions, self.calls = tuple(actions), 0
        self.inputs = [a for a in actions if a.place.site.at == "input"]
        self.outputs = [a for a in actions if a.place.site.at == "output" and not isinstance(a, Skip)]
        self.skips = [a for a in actions if isinstance(a, Skip)]
        self.inside = [a for a in actions if a.place.site.at in _INSIDE]


class _Wrapper:
    """Stands in a module's ``forward`` while there is anything to do there."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.inner = module, module.forward
        self.before = module.__dict__.get("forward")  # somebody else's wrapper, where there is one
        self.stacks: list[_Stack | _Root] = []
        module.forward = self  # type: ignore[method-assign,assignment]

    def drop(self, stack: _Stack | _Root) -> None:
        self.stacks.remove(stack)
        if not self.stacks:
            if self.before is None:
                del self.module.__dict__["forward"]
            else:
                self.module.forward = self.before

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        call: Callable[..., Any] = self._act
        for root in [s for s in self.stacks if isinstance(s, _Root)]:
            call = _through(root, self.module, call)
        return call(*args, **kwargs)

    def _act(self, *args: Any, **kwargs: Any) -> Any:
        stacks, tick = [s for s in self.stacks if isinstance(s, _Stack)], clock.now()
        for stack in stacks:
            stack.calls += 1
            for action in stack.inputs:
                if _due(action, tick):
                    args, kwargs = _replace_input(self.module, action, args, kwargs)
        value = self._compute(stacks, tick, args, kwargs)
        for stack in stacks:
            for action in stack.outputs:
                if _due(action, tick):
                    value = _replace_output(action, value)
        return value

    def _compute(self, stacks: list[_Stack], tick: Tick, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for stack in stacks:
            for skip in stack.skips:
                if _due(skip, tick):
                    return skip.instead(self.module, args, kwargs)
        inside = [a for stack in stacks for a in stack.inside if _due(a, tick)]
        if inside:
            with attending(self.module, inside):
                return self.inner(*args, **kwargs)
        return self.inner(*args, **kwargs)


def _through(root: _Root, module: nn.Module, call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: root.run(module, call, args, kwargs)


def _wrapper(module: nn.Module) -> _Wrapper:
    """The wrapper that a module has, or a new one."""
    found = module.__dict__.get("forward")
    return found if isinstance(found, _Wrapper) else _Wrapper(module)


def _module(network: nn.Module, sites: SiteMap, path: str) -> nn.Module:
    try:
        return network.get_submodule(path)
    except AttributeError as e:
        fix = "The map is for another network."
        raise ModelError(f"the site map of {sites.family} names {path}, which isn't there", fix=fix) from e


def _due(action: Action, tick: Tick) -> bool:
    if tick.shadow != getattr(action, "shadow", False):
        return False
    return action.when is None or action.when(tick)


# --- arguments and results ---------------------------------------------------------------------------------------


def _position(module: nn.Module, site: Site) -> tuple[int | None, str | None]:
    """Where an argument is: its position and, where it can be told, its name."""
    if site.item is None or isinstance(site.item, int):
        return site.item or 0, None
    names = list(inspect.signature(type(module).forward).parameters)[1:]
    return (names.index(site.item) if site.item in names else None), site.item


def _take(module: nn.Module, site: Site, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    position, name = _position(module, site)
    if name is not None and name in kwargs:
        return kwargs[name]
    if position is not None and position < len(args):
        return args[position]
    raise ModelError(f"the call of {type(module).__name__} has no argument {site.item!r}")


def _replace_input(
    module: nn.Module, action: Observe | Change, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    site = action.place.site
    value = action.apply(_take(module, site, args, kwargs))
    position, name = _position(module, site)
    if name is not None and name in kwargs:
        return args, {**kwargs, name: value}
    assert position is not None
    return (*args[:position], value, *args[position + 1 :]), kwargs


def _replace_output(action: Observe | Change, value: Any) -> Any:
    item = action.place.site.item
    if item is None and not isinstance(value, tuple):
        return action.apply(value)
    if not isinstance(value, tuple) or isinstance(item, str):
        raise ModelError(f"the output at {action.place} is a {type(value).__name__}, not what its site says")
    index = item or 0
    return (*value[:index], action.apply(value[index]), *value[index + 1 :])
