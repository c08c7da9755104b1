"""Averages over tasks, the scales they are taken on, and whether an order of models survives another choice."""

from __future__ import annotations

import math

import pytest

from otoscope.core.errors import InputError, UsageError
from otoscope.tasks.probes.averages import (
    Point,
    all_averages,
    average,
    domain_means,
    macro_mean,
    mean_of_domains,
    task_list,
    task_lists,
    xares_average,
)
from otoscope.tasks.probes.catalog import xares_tasks
from otoscope.tasks.probes.normalise import (
    ChanceCorrected,
    Identity,
    MinMax,
    Relative,
    min_max_over,
    normalised,
    relative_to,
)
from otoscope.tasks.probes.published import published, published_tables
from otoscope.tasks.probes.ranks import rank_stability

A = Point("a", "speech", 0.9, weight=3, chance=0.5, low=0.8, high=0.95)
B = Point("b", "speech", 0.5, weight=1, chance=0.1, low=0.3, high=0.8)
C = Point("c", "music", 0.2, weight=0, chance=0.1, low=0.1, high=0.3)


def test_the_averages_weigh_as_they_say() -> None:
    points = [A, B, C]
    assert xares_average(points).value == pytest.approx((3 * 0.9 + 0.5) / 4)
    assert macro_mean(points).value == pytest.approx(1.6 / 3)
    assert mean_of_domains(points).value == pytest.approx((0.7 + 0.2) / 2)
    assert {d.name: d.value for d in domain_means(points)} == {
        "speech": pytest.approx(0.7),
        "music": pytest.approx(0.2),
    }
    assert [a.name for a in all_averages(points)] == ["weighted", "macro", "domains", "speech", "music"]


def test_an_interval_adds_up_distances_in_squares_and_says_what_it_assumes() -> None:
    found = macro_mean([A, B])
    assert found.low == pytest.approx(0.7 - math.hypot(0.1, 0.2) / 2)
    assert found.high == pytest.approx(0.7 + math.hypot(0.05, 0.3) / 2)
    assert "independent" in found.note
    alone = macro_mean([A])
    assert (alone.low, alone.high) == (pytest.approx(0.8), pytest.approx(0.95))


def test_a_task_without_a_score_is_named_and_not_silently_gone() -> None:
    found = xares_average([A, Point("b", "speech", None), Point("d", "sound", 0.5)])
    assert found.left_out == ("b",)
    assert found.tasks == ("a", "d")
    assert found.low is None
    assert "d" in found.note
    empty = average("x", [Point("b", "speech", None)])
    assert empty.value is None
    assert "no task" in empty.note


def test_averages_refuse_what_has_no_meaning() -> None:
    with pytest.raises(InputError, match="as many weights"):
        average("x", [A, B], [1.0])
    with pytest.raises(InputError, match="as many weights"):
        average("x", [A, B], [1.0, -1.0])
    with pytest.raises(InputError, match="twice"):
        average("x", [A, A])


def test_scales_do_what_their_names_say() -> None:
    assert normalised([A], Identity()) == [A]
    (chance,) = normalised([A], ChanceCorrected())
    assert (chance.value, chance.low, chance.high) == (pytest.approx(0.8), pytest.approx(0.6), pytest.approx(0.9))
    (relative,) = normalised([A], relative_to("base", [Point("a", "speech", 0.6)]))
    assert relative.value == pytest.approx(1.5)
    scale = min_max_over("two", {"x": [Point("a", "speech", 0.5)], "y": [Point("a", "speech", 1.0)]})
    (between,) = normalised([A], scale)
    assert between.value == pytest.approx(0.8)


def test_a_task_without_the_scale_leaves_the_average_by_name() -> None:
    points = normalised([A, B], Relative("base", {"a": 0.3, "b": 0.0}))
    assert macro_mean(points).left_out == ("b",)
    flat = MinMax("flat", {"a": (0.4, 0.4), "b": (0.0, 1.0)})
    assert macro_mean(normalised([A, B], flat)).left_out == ("a",)
    with pytest.raises(UsageError, match="two models"):
        min_max_over("one", {"x": [A]})


def test_lists_name_tasks_that_exist_and_ours_says_so() -> None:
    for name, found in task_lists().items():
        assert set(found.tasks) <= set(xares_tasks()), name
        assert len(set(found.tasks)) == len(found.tasks)
    ours = task_list("uniwhisper-20")
    assert len(ours.tasks) == 20
    assert "our reading" in ours.origin
    knn = {t for t, x in xares_tasks().items() if x.knn}
    assert set(task_list("xares-knn").tasks) == knn
    assert set(task_list("xares").tasks) == set(xares_tasks())
    with pytest.raises(UsageError, match="uniwhisper-20"):
        task_list("uniwhisper20")


def test_weights_add_up_as_in_x_ares() -> None:
    assert sum(xares_tasks()[t].weight for t in task_list("xares").tasks) == 38_752
    assert sum(xares_tasks()[t].weight for t in task_list("xares-knn").tasks) == 22_889


@pytest.mark.parametrize(
    ("probe", "expected", "printed_off"),
    [
        ("knn", (0.504, 0.262, 0.299, 0.387), 0.001),
        ("mlp", (0.694, 0.484, 0.626, 0.593), 0.0065),
    ],
)
def test_the_published_averages_are_recomputed_from_the_published_cells(
    probe: str, expected: tuple[float, ...], printed_off: float
) -> None:
    table = published("xares-readme")
    for model, wanted in zip(table.scores[probe], expected, strict=True):
        found = xares_average(table.points(probe, model))
        assert found.value == pytest.approx(wanted, abs=0.0006)
        assert not found.left_out
        # kNN as printed to the last digit; the MLP line was printed with slightly other weights or scores.
        assert table.printed_average[probe][model] == pytest.approx(found.value, abs=printed_off)
        if probe == "mlp":
            assert table.printed_average[probe][model] - found.value > 0.004


def test_published_tables_say_where_they_are_from() -> None:
    for table in published_tables().values():
        assert table.source
        assert table.protocol
        values = [s for by in table.scores.values() for own in by.values() for s in own.values()]
        assert all(0 <= v <= 1 for v in values)
        for by in table.printed_average.values():
            assert set(by) <= set(table.names)
    with pytest.raises(UsageError, match="xares-readme"):
        published("xares-readmee")


def test_an_order_of_models_shows_where_it_depends_on_the_weights() -> None:
    table = published("xares-readme")
    models = {m: table.points("mlp", m) for m in table.scores["mlp"]}
    scales = [Identity(), ChanceCorrected(), min_max_over("these", models)]
    found = rank_stability(models, scales, n_draws=2000)
    assert len(found.tasks) == 22
    assert len(found.orders) == 9
    best = next(s for s in found.standings if s.model == "dasheng-base")
    assert best.first > 0.9
    assert best.best == 1
    # data2vec is before wav2vec 2.0 only while ASR weighs 10 000: with all tasks alike they change places.
    by_choice = {(o.weighting, o.scale): o for o in found.orders}
    first, alike = by_choice["weighted", "identity"], by_choice["macro", "identity"]
    w2, d2 = "wav2vec2-large-100k-voxpopuli", "data2vec-audio-base"
    assert first.ranks[d2] < first.ranks[w2]
    assert alike.ranks[w2] < alike.ranks[d2]
    assert alike.agreement == pytest.approx(2 / 3)
    assert sum(s.first for s in found.standings) == pytest.approx(1.0)


def test_ranks_share_ties_and_refuse_single_models() -> None:
    same = {"x": [A, B], "y": [A, B]}
    found = rank_stability(same, n_draws=100)
    assert found.orders[0].ranks == {"x": 1.5, "y": 1.5}
    assert all(s.first == pytest.approx(0.5) for s in found.standings)
    with pytest.raises(UsageError, match="two models"):
        rank_stability({"x": [A]})
    with pytest.raises(UsageError, match="no task"):
        rank_stability({"x": [A], "y": [B]})


def test_a_close_order_is_shown_to_hang_on_one_task() -> None:
    x = [Point("a", "speech", 0.9, 10), Point("b", "sound", 0.1), Point("c", "music", 0.1)]
    y = [Point("a", "speech", 0.1, 10), Point("b", "sound", 0.9), Point("c", "music", 0.9)]
    found = rank_stability({"x": x, "y": y}, n_draws=4000)
    by = {o.weighting: o.ranks["x"] for o in found.orders}
    assert by == {"weighted": 1.0, "macro": 2.0, "domains": 2.0}
    assert found.standings[0].best == 1
    assert found.standings[0].worst == 2
    assert found.standings[0].first == pytest.approx(0.25, abs=0.03)  # P(w_a > 1/2), uniform on the simplex
