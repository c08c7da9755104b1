"""The one engine: observe, change or skip named places of a foreign network for the duration of a context.

Actions say *where* (a :class:`~otoscope.core.sites.Place`), *when* (a predicate over the clock) and *what*. For the
duration of :func:`hooked` the modules concerned are called through a wrapper that stands in the instance's ``forward``;
the class, the modelling file and the weights are untouched. Leaving the context, also by an exception, takes the
wrapper away. Contexts nest; at one place the actions of the outer context come first, and within a context they come
in the order given: inputs, then at most one skip (the first that answers), then outputs. Actions inside an attention
core are handed to :mod:`otoscope.interventions.attention`.

State belongs to the actions' owner, who makes it anew for every context. An action's own code may call the network:
all actions are in force there but the one that is running, so a skip can ask for the computation that it replaces. The
wrapper is seen by all threads that call the network meanwhile; one network runs under one context at a time.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from otoscope.core import clock
from otoscope.core.clock import Tick
from otoscope.core.errors import ModelError, UsageError
from otoscope.core.sites import Place, Site, SiteMap
from otoscope.interventions.attention import aside, attending

When = Callable[[Tick], bool]
_INSIDE = ("query", "key", "value", "attention_map", "attention_result")
#: Actions whose own code is running, in this thread.
_RUNNING: ContextVar[tuple[Action, ...]] = ContextVar("otoscope_running_actions", default=())


@dataclass(frozen=True)
class Observe:
    """Show ``see`` the value at ``place`` (it must not change it). ``shadow``: in shadow evaluations (see
    :class:`~otoscope.core.clock.Tick`), where no other action acts, and only there."""

    place: Place
    see: Callable[[Any], None]
    when: When | None = None
    shadow: bool = False
    watches: ClassVar[bool] = True

    def apply(self, value: Any) -> Any:
        with _running(self):
            self.see(value)
        return value


@dataclass(frozen=True)
class Change:
    """Put ``make(value)`` where the value at ``place`` was."""

    place: Place
    make: Callable[[Any], Any]
    when: When | None = None
    watches: ClassVar[bool] = False

    def apply(self, value: Any) -> Any:
        with _running(self):
            return self.make(value)


@dataclass(frozen=True)
class Skip:
    """Instead of the module's computation, use ``instead(module, args, kwargs)``, all of its output. ``place`` is an
    output."""

    place: Place
    instead: Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], Any]
    when: When | None = None

    def apply(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        with _running(self):
            return self.instead(module, args, kwargs)


Action = Observe | Change | Skip


@contextmanager
def hooked(network: nn.Module, sites: SiteMap, actions: Sequence[Action]) -> Iterator[None]:
    """Act in ``network`` inside. Raises :class:`ModelError` where it is compiled or lacks a module that the map names,
    and, on leaving without an exception, where it ran without ever coming by a place (it cannot be reached there)."""
    if not actions:
        yield
        return
    by_path: dict[str, list[Action]] = {}
    for action in actions:
        if isinstance(action, Skip) and action.place.site.at != "output":
            raise UsageError(f"{action.place} is no output, so nothing can be skipped there")
        by_path.setdefault(action.place.path, []).append(action)
    if any(type(m).__name__ == "OptimizedModule" or m._compiled_call_impl is not None for m in network.modules()):
        raise ModelError(
            f"{sites.family} is compiled, and its graph need not notice an action",
            fix="Act in the network itself, before torch.compile.",
        )
    found = {path: _module(network, sites, path) for path in by_path}
    root = _Root(sites)
    layers: list[tuple[_Wrapper, _Root | _Stack]] = []
    try:
        parts: list[tuple[nn.Module, _Root | _Stack]] = [(network, root)]
        parts += [(found[path], _Stack(mine)) for path, mine in by_path.items()]
        for module, stack in parts:
            wrapper = _wrapper(module)
            wrapper.stacks.append(stack)
            layers.append((wrapper, stack))
        yield
    finally:
        for wrapper, stack in reversed(layers):
            wrapper.drop(stack)
    stacks = [s for _, s in layers if isinstance(s, _Stack)]
    unseen = [str(a.place) for s in stacks if not s.calls for a in s.actions if not a.place.site.outside]
    if unseen and (root.done or (not root.calls and any(s.calls for s in stacks if not s.outside))):
        raise ModelError(
            f"{sites.family} ran without coming by {', '.join(dict.fromkeys(unseen))}",
            fix="Its modules are used in another way than its site map says (a fused kernel, a skipped parent).",
        )


def places(sites: SiteMap, name: str, layers: Sequence[int] | int | None = None) -> list[Place]:
    """Where ``name`` is in all or some layers; see :meth:`SiteMap.places`."""
    return sites.places(name, [layers] if isinstance(layers, int) else layers)


def within(start: float = 0.0, end: float = 1.0) -> When:
    """When flow time is in ``[start, end)``, or anything up to 1 where ``end`` is 1. From 0 to 1 is always, also in
    networks without a flow; else it raises :class:`ModelError` where nobody says the time."""

    def due(tick: Tick) -> bool:
        if start <= 0.0 and end >= 1.0:
            return True
        if tick.time is None:
            raise ModelError("flow time is not known here", fix="The site map must name the network's time argument.")
        return start <= tick.time and (tick.time < end or end >= 1.0)

    return due


# --- the wrapper ------------------------------------------------------------------------------------------------


class _Root:
    """Tells the clock the flow time from the network's own argument."""

    def __init__(self, sites: SiteMap) -> None:
        self.clock, self.calls, self.done = sites.clock, 0, 0

    def run(self, module: nn.Module, inner: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.calls += 1
        value = self._timed(module, inner, args, kwargs)
        self.done += 1  # a call that failed need not have come by every place
        return value

    def _timed(
        self, module: nn.Module, inner: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if self.clock is None:
            return inner(*args, **kwargs)
        value = _take(module, self.clock, args, kwargs)
        times = {float(t) for t in value.reshape(-1).tolist()} if isinstance(value, Tensor) else {float(value)}
        if len(times) != 1:
            raise ModelError(f"one call holds {len(times)} flow times", fix="Run sounds at different times one by one.")
        with clock.at(time=times.pop()):
            return inner(*args, **kwargs)


class _Stack:
    """One context's actions at one module."""

    def __init__(self, actions: Sequence[Action]) -> None:
        self.actions, self.calls = tuple(actions), 0
        self.outside = all(a.place.site.outside for a in actions)
        plain = [a for a in actions if not isinstance(a, Skip)]
        self.inputs = [a for a in plain if a.place.site.at == "input"]
        self.outputs = [a for a in plain if a.place.site.at == "output"]
        self.inside = [a for a in plain if a.place.site.at in _INSIDE]
        self.skips = [a for a in actions if isinstance(a, Skip)]


class _Wrapper:
    """Stands in a module's ``forward`` while there is anything to do there."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.inner = module, module.forward
        self.__wrapped__ = module.forward  # whoever asks for the signature gets the original's
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
        # A skip that asks for the computation is in the middle of a call whose inputs and outputs are seen to already.
        asked = any(skip is running for running in _RUNNING.get() for stack in stacks for skip in stack.skips)
        for stack in stacks:
            stack.calls += 1
            for action in () if asked else stack.inputs:
                if _due(action, tick):
                    args, kwargs = _replace_input(self.module, action, args, kwargs)
        value = self._compute(stacks, tick, args, kwargs)
        for stack in stacks:
            for action in () if asked else stack.outputs:
                if _due(action, tick):
                    value = _replace_output(action, value)
        return value

    def _compute(self, stacks: list[_Stack], tick: Tick, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for stack in stacks:
            for skip in stack.skips:
                if _due(skip, tick):
                    return skip.apply(self.module, args, kwargs)
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
    if tick.shadow != (isinstance(action, Observe) and action.shadow):
        return False
    if any(action is running for running in _RUNNING.get()):
        return False
    return action.when is None or action.when(tick)


@contextmanager
def _running(action: Action) -> Iterator[None]:
    token = _RUNNING.set((*_RUNNING.get(), action))
    try:
        with aside():
            yield
    finally:
        _RUNNING.reset(token)


# --- arguments and results ---------------------------------------------------------------------------------------


def _parameter(module: nn.Module, site: Site) -> tuple[int | None, inspect.Parameter | None]:
    """An argument's position and what the signature says of it, as far as they can be told."""
    known = list(inspect.signature(type(module).forward).parameters.values())[1:]
    if isinstance(site.item, str):
        position = next((i for i, p in enumerate(known) if p.name == site.item), None)
    else:
        position = site.item or 0
    parameter = known[position] if position is not None and position < len(known) else None
    if parameter is not None and parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD):
        parameter = None
    return position if parameter is None or parameter.kind is not inspect.Parameter.KEYWORD_ONLY else None, parameter


def _take(module: nn.Module, site: Site, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The argument, or its default where the call leaves it out."""
    position, parameter = _parameter(module, site)
    name = site.item if isinstance(site.item, str) else None if parameter is None else parameter.name
    if name in kwargs:
        return kwargs[name]
    if position is not None and position < len(args):
        return args[position]
    if parameter is not None and parameter.default is not inspect.Parameter.empty:
        return parameter.default
    raise ModelError(f"{type(module).__name__} is called without argument {site.item or 0!r} of site {site.name}")


def _replace_input(
    module: nn.Module, action: Observe | Change, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    site = action.place.site
    value = action.apply(_take(module, site, args, kwargs))
    if action.watches:
        return args, kwargs
    position, parameter = _parameter(module, site)
    name = site.item if isinstance(site.item, str) else None if parameter is None else parameter.name
    if name not in kwargs and position is not None and position < len(args):
        return (*args[:position], value, *args[position + 1 :]), kwargs
    assert name is not None  # _take has found it under this name, or its default
    return args, {**kwargs, name: value}


def _replace_output(action: Observe | Change, value: Any) -> Any:
    item = action.place.site.item
    if item is None and not isinstance(value, tuple):
        return action.apply(value)
    index = item or 0
    if not isinstance(value, tuple) or isinstance(index, str) or not -len(value) <= index < len(value):
        many = f" of {len(value)}" if isinstance(value, tuple) else ""
        raise ModelError(f"the output at {action.place} is a {type(value).__name__}{many}, not what its site says")
    index %= len(value)
    return (*value[:index], action.apply(value[index]), *value[index + 1 :])
