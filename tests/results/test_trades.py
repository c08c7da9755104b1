"""Losses and savings side by side, and a method against a ladder of rivals."""

from __future__ import annotations

import numpy as np
import pytest

from otoscope.results.duels import duel
from otoscope.results.trades import Setting, Trade, front, trades
from otoscope.stats.intervals import Interval

N = 60


def setting(**losses: tuple[float, float, float]) -> Setting:
    """Interventions by (mean loss, spread of the loss, saving), on ``N`` items of as many groups."""
    rng = np.random.default_rng(0)
    bare = rng.normal(10.0, 3.0, N)
    values = {"none": {"q": bare, "saved": np.zeros(N)}}
    for name, (mean, spread, saved) in losses.items():
        noise = rng.normal(0.0, 1.0, N)
        noise = spread * (noise - noise.mean())
        values[name] = {"q": bare - mean - noise, "saved": np.full(N, saved)}
    items = [(0, str(i)) for i in range(N)]
    return Setting("t", "intact", "m", items, np.array([str(i) for i in range(N)]), values)


def test_a_loss_is_paired_and_a_saving_as_told() -> None:
    found = trades(setting(a=(1.0, 0.1, 0.3), b=(0.0, 0.1, 0.6)), "q", ("saved",))
    assert [t.intervention for t in found] == ["a", "b"]
    a, b = found
    assert a.loss.value == pytest.approx(1.0)
    # Items differ by 3, losses by 0.1: only a paired interval is this narrow.
    assert a.loss.high - a.loss.low < 0.06
    assert a.saved["saved"].value == pytest.approx(0.3)
    assert b.loss.low < 0 < b.loss.high


def test_what_has_no_value_has_no_trade() -> None:
    s = setting(a=(1.0, 0.1, 0.3))
    s.values["a"]["q"][:] = np.nan
    assert trades(s, "q", ("saved",)) == []


def test_front_keeps_what_no_other_beats() -> None:
    def trade(name: str, loss: float, saved: float) -> Trade:
        sure = lambda x: Interval(x, x, x, 0.95, N, N, 0, "percentile", False)  # noqa: E731
        return Trade(name, "q", sure(loss), {"s": sure(saved)})

    found = [trade("dear", 1.0, 0.2), trade("good", 0.1, 0.3), trade("more", 0.5, 0.6), trade("worse", 0.6, 0.5)]
    assert [t.intervention for t in front(found, "s")] == ["good", "more"]


def test_the_rivals_loss_is_read_off_at_the_methods_saving() -> None:
    # The ladder loses 0.2 at 0.2 and 1.0 at 0.6: 0.6 at 0.4. The method loses 0.3 there.
    s = setting(method=(0.3, 0.05, 0.4), few=(0.2, 0.05, 0.2), fewer=(1.0, 0.05, 0.6))
    found = duel(s, "method", "steps", ["few", "fewer"], metric="q", saving="saved")
    assert found.saved == pytest.approx(0.4)
    assert found.rival_loss.value == pytest.approx(0.6)
    assert found.difference.value == pytest.approx(0.3)
    assert found.ratio.value == pytest.approx(2.0)
    assert found.ratio.low < 2.0 < found.ratio.high
    assert found.winner == "method"
    swapped = duel(s, "fewer", "ladder", ["method"], metric="q", saving="saved")
    assert swapped.difference is None
    assert "outside" in swapped.note


def test_below_the_first_rung_the_line_starts_at_nothing() -> None:
    s = setting(method=(0.3, 0.05, 0.1), few=(0.2, 0.05, 0.2))
    found = duel(s, "method", "steps", ["few"], metric="q", saving="saved")
    assert found.rival_loss.value == pytest.approx(0.1)
    assert found.winner == "rival"


@pytest.mark.parametrize(
    ("own", "other"), [((0.0, 1.0), (1.0, 0.1)), ((1.0, 0.1), (0.0, 1.0)), ((-1.0, 0.1), (1.0, 0.1))]
)
def test_a_ratio_needs_two_losses(own, other) -> None:
    s = setting(method=(*own, 0.3), few=(*other, 0.3))
    found = duel(s, "method", "steps", ["few"], metric="q", saving="saved")
    assert found.ratio is None
    assert "cannot be said to lose anything" in found.note
    assert found.difference is not None


def test_items_without_all_values_are_counted() -> None:
    s = setting(method=(0.3, 0.05, 0.3), few=(0.5, 0.05, 0.3))
    s.values["few"]["q"][:7] = np.nan
    found = duel(s, "method", "steps", ["few"], metric="q", saving="saved")
    assert found.n_left_out == 7
    assert found.ratio is not None
