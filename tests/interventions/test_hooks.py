"""The engine: where it acts, when, in which order, and that nothing is left of it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from otoscope.core import clock
from otoscope.core.errors import ModelError, UsageError
from otoscope.core.sites import Place, Site, SiteMap
from otoscope.interventions.hooks import Change, Observe, Skip, hooked, places, within
from otoscope.models.separators.dit import DiTConfig
from otoscope.models.separators.sites import site_map
from otoscope.models.separators.solver import solve, uniform_grid


class Part(nn.Module):
    """``(2 x + shift, x * gain)``, with arguments of every kind."""

    def forward(self, x: Tensor, gain: float = 3.0, *, shift: float = 0.0) -> tuple[Tensor, Tensor]:
        return 2 * x + shift, x * gain


class Toy(nn.Module):
    """``part`` is called by position, ``named`` by name, ``idle`` never."""

    def __init__(self) -> None:
        super().__init__()
        self.part, self.named, self.idle = Part(), Part(), Part()

    def forward(self, x: Tensor, time: float = 0.0) -> Tensor:
        a, b = self.part(x, 5.0)
        c, d = self.named(x=a + b, shift=1.0)
        return c + d


TOY = SiteMap(
    "toy",
    0,
    (
        Site("x", "part", "input"),
        Site("gain", "part", "input", 1),
        Site("shift", "part", "input", "shift"),
        Site("named_x", "named", "input"),
        Site("named_shift", "named", "input", "shift"),
        Site("named_gain", "named", "input", "gain"),
        Site("nothing", "named", "input", "volume"),
        Site("first", "part"),
        Site("second", "part", item=1),
        Site("last_item", "part", item=-1),
        Site("beyond", "part", item=2),
        Site("whole", ""),
        Site("idle", "idle"),
        Site("gone", "nowhere"),
    ),
    Site("time", "", "input", "time"),
)
ONE = torch.ones(2)


def at(name: str) -> Place:
    return TOY.places(name)[0]


def plain(
    x: Tensor, gain: float = 5.0, shift: float = 0.0, named_gain: float = 3.0, named_shift: float = 1.0
) -> Tensor:
    """What :class:`Toy` computes, in one line of algebra."""
    inner = 2 * x + shift + x * gain
    return 2 * inner + named_shift + inner * named_gain


def run(actions: list[Any], x: Tensor = ONE) -> Tensor:
    toy = Toy()
    with hooked(toy, TOY, actions):
        out = toy(x)
    assert not any("forward" in m.__dict__ for m in toy.modules())
    assert torch.equal(toy(x), plain(x))
    return out


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("x", 3 * ONE, plain(3 * ONE)),
        ("gain", 7.0, plain(ONE, gain=7.0)),
        ("shift", 0.5, plain(ONE, shift=0.5)),  # keyword-only, left at its default by the caller
        ("named_x", ONE, torch.full((2,), 6.0)),
        ("named_shift", 4.0, plain(ONE, named_shift=4.0)),
        ("named_gain", 1.0, plain(ONE, named_gain=1.0)),  # could go by position; left at its default
        ("first", 0 * ONE, torch.full((2,), 26.0)),
        ("second", 0 * ONE, torch.full((2,), 11.0)),
        ("last_item", 0 * ONE, torch.full((2,), 11.0)),
        ("whole", 9 * ONE, 9 * ONE),
    ],
)
def test_a_change_at_every_kind_of_place(name: str, value: Any, expected: Tensor) -> None:
    assert torch.equal(run([Change(at(name), lambda _: value)]), expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x", 1.0),
        ("gain", 5.0),
        ("shift", 0.0),
        ("named_x", 7.0),
        ("named_shift", 1.0),
        ("named_gain", 3.0),
        ("first", 2.0),
        ("second", 5.0),
        ("last_item", 5.0),
        ("whole", 36.0),
    ],
)
def test_an_observation_at_every_kind_of_place(name: str, expected: float) -> None:
    seen: list[Any] = []
    assert torch.equal(run([Observe(at(name), seen.append)]), plain(ONE))
    assert len(seen) == 1
    assert torch.equal(torch.as_tensor(seen[0]).expand(2), expected * ONE)


def test_a_skip_gives_the_whole_output_and_outputs_come_after_it() -> None:
    skip = Skip(at("first"), lambda module, args, kwargs: (args[0] * 10, args[0] * args[1]))
    out = run([skip, Change(at("second"), lambda b: b + 1), Change(at("x"), lambda x: 2 * x)])
    inner = 20 * ONE + 2 * 5 * ONE + 1
    assert torch.equal(out, 5 * inner + 1)


def test_the_first_skip_answers() -> None:
    ran: list[str] = []

    def skip(name: str, when: Any = None) -> Skip:
        return Skip(at("first"), lambda m, a, k: (ran.append(name), (ONE, ONE))[1], when)

    run([skip("not due", lambda tick: False), skip("first"), skip("second")])
    assert ran == ["first"]


def test_a_skip_may_ask_for_what_it_replaces() -> None:
    out = run([Skip(at("first"), lambda module, args, kwargs: tuple(2 * v for v in module(*args, **kwargs)))])
    assert torch.equal(out, 5 * (2 * 7 * ONE) + 1)


def test_a_skip_that_asks_lets_others_answer_and_inputs_and_outputs_act_once() -> None:
    seen: list[Any] = []
    double = Skip(at("first"), lambda module, args, kwargs: tuple(2 * v for v in module(*args, **kwargs)))
    add = Skip(at("first"), lambda module, args, kwargs: tuple(v + 1 for v in module(*args, **kwargs)))
    once = [Change(at("x"), lambda x: 2 * x), Change(at("second"), lambda b: b + 1), Observe(at("second"), seen.append)]
    a, b = 2 * 2 * ONE, 2 * 5 * ONE  # what the module gives for twice the input
    for skips, a_then, b_then in (
        ([double], 2 * a, 2 * b),
        ([double, add], 2 * (a + 1), 2 * (b + 1)),
        ([add, double], 2 * a + 1, 2 * b + 1),
    ):
        seen.clear()
        assert torch.equal(run([*skips, *once]), 5 * (a_then + b_then + 1) + 1)
        assert len(seen) == 1
        assert torch.equal(seen[0], b_then + 1)


def test_errors_name_what_is_wrong() -> None:
    toy = Toy()
    with (
        pytest.raises(ModelError, match="names nowhere, which isn't there"),
        hooked(toy, TOY, [Observe(at("gone"), id)]),
    ):
        pass
    with pytest.raises(UsageError, match="nothing can be skipped"), hooked(toy, TOY, [Skip(at("x"), max)]):
        pass
    for name, words in (("beyond", "tuple of 2"), ("nothing", "without argument 'volume'")):
        with pytest.raises(ModelError, match=words):
            run([Observe(at(name), id)])
    item = Place(Site("whole", "", item=1))
    with pytest.raises(ModelError, match="is a Tensor, not what its site says"):
        run([Observe(item, id)])
    assert not any("forward" in m.__dict__ for m in toy.modules())


@pytest.mark.parametrize("part", ["network", "layer"])
def test_compiled_modules_are_refused(part: str) -> None:
    toy = Toy()
    if part == "layer":
        toy.part.compile()
    network = torch.compile(toy) if part == "network" else toy
    with pytest.raises(ModelError, match="toy is compiled"), hooked(network, TOY, [Observe(at("x"), id)]):
        pass


def test_a_place_that_is_never_reached_is_an_error_if_anything_ran() -> None:
    toy = Toy()
    with pytest.raises(ModelError, match="without coming by idle"), hooked(toy, TOY, [Observe(at("idle"), id)]):
        toy(ONE)
    with (
        pytest.raises(ModelError, match="without coming by idle"),
        hooked(toy, TOY, [Observe(at(n), id) for n in ("x", "idle")]),
    ):
        toy.part(ONE)  # never through the root
    with hooked(toy, TOY, [Observe(at("idle"), id)]):
        pass  # nothing ran, so nothing is known

    def fail() -> None:
        with hooked(toy, TOY, [Observe(at("idle"), id)]):
            toy(ONE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):  # not hidden behind ours
        fail()


def test_a_call_that_failed_says_nothing_of_the_places_it_did_not_reach() -> None:
    toy = Toy()

    def broken(value: Any) -> Any:
        raise ZeroDivisionError

    def tried(call: Any) -> None:  # an item of many: whoever runs them keeps it as failed
        with pytest.raises((ZeroDivisionError, TypeError)):
            call()

    with hooked(toy, TOY, [Change(at("x"), broken), Observe(at("named_x"), id)]):
        tried(lambda: toy(ONE))

    def half_failed() -> None:
        with hooked(toy, TOY, [Observe(at("idle"), id)]):
            tried(toy)
            toy(ONE)

    with pytest.raises(ModelError, match="without coming by idle"):  # said as soon as one call went through
        half_failed()


def test_selectors_that_match_nothing_list_candidates() -> None:
    sites = site_map(DiTConfig(dim=64, heads=4, layers=4))
    with pytest.raises(UsageError, match=r"no site 'block_ot'.*Did you mean block_out.*self_attn_map"):
        places(sites, "block_ot")
    with pytest.raises(UsageError, match=r"no layer 9.*0 to 3"):
        places(sites, "block_out", 9)
    with pytest.raises(UsageError, match="0 to 3"):
        places(sites, "block_out", [])
    with pytest.raises(UsageError, match="has no layers"):
        places(sites, "velocity", 0)
    assert [str(p) for p in places(sites, "block_out", [-1, 0])] == ["block_out.3", "block_out.0"]


def test_order_within_and_across_contexts(flow, inputs, untouched) -> None:
    untouched(flow)
    sites, trace = site_map(flow.config), []
    block, gate = places(sites, "block_out", 1)[0], places(sites, "self_attn_out", 1)[0]

    def mark(place: Place, name: str) -> Change:
        return Change(place, lambda x: (trace.append(name), x)[1])

    with (
        hooked(flow, sites, [mark(block, "outer 1"), mark(block, "outer 2"), mark(gate, "outer inside")]),
        hooked(flow, sites, [mark(block, "inner"), mark(gate, "inner inside")]),
    ):
        flow(**inputs)
    assert trace == ["outer inside", "inner inside", "outer 1", "outer 2", "inner"]


def test_changes_compose_in_order(flow, inputs) -> None:
    sites = site_map(flow.config)
    place = places(sites, "velocity")[0]
    bare = flow(**inputs)
    with (
        hooked(flow, sites, [Change(place, lambda v: v + 1), Change(place, lambda v: v * 2)]),
        hooked(flow, sites, [Change(place, lambda v: v - 3)]),
    ):
        assert torch.equal(flow(**inputs), (bare + 1) * 2 - 3)


def test_leaving_restores_bit_for_bit_also_after_exceptions(flow, inputs, untouched) -> None:
    untouched(flow)
    sites, bare = site_map(flow.config), flow(**inputs)
    changes = [Change(p, lambda x: x * 1.5) for s in sites.sites for p in sites.places(s.name)]
    with hooked(flow, sites, changes):
        assert not torch.equal(flow(**inputs), bare)
    assert torch.equal(flow(**inputs), bare)

    def fail(x: Any) -> Any:
        raise RuntimeError("in the action")

    for place in (places(sites, "self_attn_map", 2)[0], places(sites, "block_out", 2)[0]):
        with pytest.raises(RuntimeError, match="in the action"), hooked(flow, sites, [*changes, Change(place, fail)]):
            flow(**inputs)
        assert torch.equal(flow(**inputs), bare)
    with pytest.raises(KeyError), hooked(flow, sites, changes), hooked(flow, sites, changes):
        raise KeyError
    assert torch.equal(flow(**inputs), bare)
    assert clock.now() == clock.Tick()


def test_somebody_elses_forward_comes_back(flow, inputs) -> None:
    sites, bare = site_map(flow.config), flow(**inputs)
    theirs = flow.proj.forward
    flow.proj.forward = theirs
    with hooked(flow, sites, [Change(places(sites, "input_proj")[0], lambda x: 0 * x)]):
        assert not torch.equal(flow(**inputs), bare)
    assert flow.proj.__dict__["forward"] == theirs


def test_nothing_happens_when_no_action_is_due(flow, inputs, untouched) -> None:
    untouched(flow)
    sites, bare = site_map(flow.config), flow(**inputs)
    every = [p for s in sites.sites for p in sites.places(s.name)]
    never = [Change(p, lambda x: 0 * x, lambda tick: False) for p in every]
    never += [Skip(p, lambda *_: None, lambda tick: False) for p in every if p.site.at == "output"]
    with hooked(flow, sites, never):
        assert torch.equal(flow(**inputs), bare)
    with hooked(flow, sites, []):
        assert "forward" not in flow.__dict__
        assert torch.equal(flow(**inputs), bare)


def test_the_same_actions_entered_twice_act_twice(flow, inputs, untouched) -> None:
    untouched(flow)
    sites = site_map(flow.config)
    add = [Change(places(sites, "velocity")[0], lambda v: v + 1)]
    bare = flow(**inputs)
    with hooked(flow, sites, add):
        with hooked(flow, sites, add):
            assert torch.equal(flow(**inputs), bare + 1 + 1)
        assert torch.equal(flow(**inputs), bare + 1)


def test_an_observer_may_call_the_network(flow, inputs, untouched) -> None:
    """In the observer the other actions hold and it itself doesn't; the outer evaluation is none the wiser."""
    untouched(flow)
    sites, bare = site_map(flow.config), flow(**inputs)
    found: list[Tensor] = []
    maps: list[Tensor] = []
    times: list[float | None] = []

    def look(_: Any) -> None:
        found.append(flow(**{**inputs, "time": torch.tensor(0.75)}))
        times.append(clock.now().time)

    where = places(sites, "self_q", 1) + places(sites, "ffn_out", 1)
    actions = [
        *(Observe(p, look) for p in where),
        Observe(places(sites, "self_attn_map", 1)[0], maps.append),
        Change(places(sites, "velocity")[0], lambda v: v + 1),
    ]
    with hooked(flow, sites, actions):
        out = flow(**inputs)
    torch.testing.assert_close(out, bare + 1, atol=1e-5, rtol=0)
    later = flow(**{**inputs, "time": torch.tensor(0.75)})
    for one in found:
        torch.testing.assert_close(one, later + 1, atol=1e-5, rtol=0)
    # each of the two observers runs in the outer evaluation, and once inside the other's
    assert len(found) == 4
    assert times == [0.75, 0.25, 0.75, 0.25]
    assert len(maps) == 5


@pytest.mark.parametrize(("solver", "expected"), [("euler", [0.25, 0.5]), ("midpoint", [0.25, 0.375, 0.5, 0.625])])
def test_flow_time_is_the_networks_own_argument(flow, inputs, solver: str, expected: list[float]) -> None:
    sites, ticks = site_map(flow.config), []
    rest = {k: v for k, v in inputs.items() if k not in ("state", "time")}
    watch = Observe(places(sites, "block_out", 0)[0], lambda _: ticks.append(clock.now()), within(0.25, 0.75))
    with hooked(flow, sites, [watch]):
        flow(inputs["state"], torch.tensor(0.3), **rest)  # a call of somebody else's shifts no count
        solve(lambda x, t: flow(x, t, **rest), inputs["state"], uniform_grid(4), solver)  # type: ignore[arg-type]
    assert ticks[0].time == pytest.approx(0.3)
    assert ticks[0].step is None
    assert [t.time for t in ticks[1:]] == expected
    assert {t.n_steps for t in ticks[1:]} == {4}
    assert [t.step for t in ticks[1:]] == [int(t * 4) for t in expected]
    assert [t.stage for t in ticks[1:]] == ([0, 0] if solver == "euler" else [0, 1, 0, 1])


def test_the_end_belongs_to_the_last_stretch() -> None:
    assert within(0.5)(clock.Tick(time=1.0))
    assert not within(0.5, 0.75)(clock.Tick(time=0.75))
    assert within(0.5, 0.75)(clock.Tick(time=0.5))
    with pytest.raises(ModelError, match="flow time is not known"):
        within(0.2)(clock.Tick())
    assert within()(clock.Tick())  # the whole stretch asks for no time


def test_several_times_in_one_call_are_an_error(flow, inputs, untouched) -> None:
    untouched(flow)
    sites = site_map(flow.config)
    with hooked(flow, sites, [Observe(places(sites, "velocity")[0], id)]):
        flow(**{**inputs, "time": torch.tensor([0.5, 0.5])})
        with pytest.raises(ModelError, match="holds 2 flow times"):
            flow(**{**inputs, "time": torch.tensor([0.25, 0.5])})


def test_the_signature_stays_the_originals(flow, inputs) -> None:
    import inspect

    sites, before = site_map(flow.config), inspect.signature(flow.forward)
    with hooked(flow, sites, [Observe(places(sites, "velocity")[0], id)]):
        assert inspect.signature(flow.forward) == before
