"""Training of the tiny separator: same seed, same weights; a stopped run ends as if it had not been; nothing held out
is trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from otoscope.core.errors import StoreError
from otoscope.models.bundled.tiny_separator import SAMPLING, bare_card
from otoscope.tasks.separation.levels import si_sdr_db
from otoscope.training.separation.evaluate import STEPS, cases, curves, ideal_mask_db, measure
from otoscope.training.separation.loop import Recipe, loss, onward, resume, save, start, train, wave_error
from otoscope.training.separation.mixtures import Draws, _coloured, batch, pool

SMALL = {"steps": 4, "batch": 2, "seconds": 0.5, "warm_up": 1, "dim": 32, "heads": 2, "layers": 2}


@pytest.fixture(scope="module")
def sounds():
    return pool(None, 8_000, generated=1)


def weights(state) -> list[torch.Tensor]:
    return [t.clone() for t in state.mean.state_dict().values()]


def same(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def quiet(state, loss) -> None:
    pass


def test_a_stopped_run_ends_in_the_same_weights(sounds, tmp_path) -> None:
    recipe = Recipe(**SMALL)
    straight = train(start(recipe, sounds), recipe, sounds, after=quiet)
    half = train(start(recipe, sounds), recipe, sounds, until=2, after=quiet)
    save(half, recipe, tmp_path / "state.pt")
    resumed = train(resume(recipe, sounds, tmp_path / "state.pt"), recipe, sounds, after=quiet)
    assert straight.step == resumed.step == 4
    assert same(weights(straight), weights(resumed))
    assert not same(weights(start(recipe, sounds)), weights(straight))
    with pytest.raises(StoreError, match="another recipe"):
        resume(Recipe(**SMALL | {"steps": 5}), sounds, tmp_path / "state.pt")


def test_a_run_may_begin_where_another_ended(sounds, tmp_path) -> None:
    first = Recipe(**SMALL)
    done = train(start(first, sounds), first, sounds, after=quiet)
    save(done, first, tmp_path / "state.pt")
    second = onward(start(Recipe(**SMALL | {"seed": 9}), sounds), tmp_path / "state.pt")
    assert second.step == 0
    assert same([p.data for p in second.network.parameters()], [p.data for p in done.mean.parameters()])


def test_the_loss_falls_on_one_repeated_batch(sounds) -> None:
    recipe = Recipe(**SMALL)
    state, made, losses = start(recipe, sounds), batch(sounds, 0, 0, 4, 0.5), []
    for _ in range(40):
        value = loss(state.network, made, 0, recipe.shift, recipe.fine)
        state.optimiser.zero_grad()
        value.backward()
        state.optimiser.step()
        losses.append(float(value.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test_batches_are_a_function_of_seed_and_step(sounds) -> None:
    a, b, c = (batch(sounds, seed, step, 3, 0.5) for seed, step in ((1, 7), (1, 7), (1, 8)))
    assert np.array_equal(a.mixture, b.mixture)
    assert a.texts == b.texts
    assert not np.array_equal(a.mixture, c.mixture)
    assert np.allclose(a.mixture, a.target + a.residual, atol=1e-6) or any(x.any() for x in a.mixture)


def test_sounds_are_varied_as_far_as_asked(sounds) -> None:
    plain, strong = (batch(sounds, 1, 7, 3, 0.5, d) for d in (Draws(), Draws(colour_db=6.0)))
    assert plain.texts == batch(sounds, 1, 7, 3, 0.5).texts
    assert not np.array_equal(plain.mixture, strong.mixture)
    assert np.allclose(strong.mixture, strong.target + strong.residual, atol=1e-6)
    x, rng = np.random.default_rng(0).standard_normal(8000), np.random.default_rng(1)
    gains = np.abs(np.fft.rfft(_coloured(x, 6.0, rng)) / np.fft.rfft(x))[1:-1]
    assert 1.0 < np.std(20 * np.log10(gains)) < 12.0
    assert np.abs(np.diff(20 * np.log10(gains[100:]))).max() < 0.2  # smooth
    everything = [batch(sounds, 1, k, 8, 0.5, Draws(recorded=0.0)) for k in range(2)]
    assert all(np.isfinite(b.mixture).all() for b in everything)


def test_the_error_of_the_sound_is_that_of_stems_that_sum_to_the_mixture(sounds) -> None:
    recipe = Recipe(**SMALL)
    codec, made = start(recipe, sounds).network.codec, batch(sounds, 1, 0, 3, 0.5)
    stems = [torch.from_numpy(x) for x in (made.target, made.residual)]
    exact = torch.cat([codec.encode(x) for x in stems], -1)
    floor = wave_error(codec, exact, made)
    assert torch.allclose(floor, torch.full((3,), -3.0), atol=0.01)
    swapped = wave_error(codec, torch.cat([codec.encode(x) for x in stems[::-1]], -1), made)
    power = ((stems[1] - stems[0]).square().sum(-1) / torch.from_numpy(made.mixture).square().sum(-1) + 1e-3).log10()
    assert torch.allclose(swapped, power, atol=1e-3)
    network = start(recipe, sounds).network
    a, b = (float(loss(network, made, 0, 1.0, 0.25, wave).detach()) for wave in (0.0, 0.5))
    assert a != b


def test_nothing_held_out_is_trained_on(sounds) -> None:
    held = pool(None, 8_000, generated=1, held=True)
    assert not {c.sha256 for c in sounds.used} & {c.sha256 for c in held.used}
    for key in sounds.sounds.keys() & held.sounds.keys():
        assert not any(np.array_equal(a, b) for a in sounds.sounds[key] for b in held.sounds[key])


def test_held_out_figures_come_by_step_and_kind(sounds) -> None:
    recipe = Recipe(**SMALL)
    network = start(recipe, sounds).mean.eval()
    rows = measure(network, bare_card(), SAMPLING, cases(pool(None, 8_000, generated=1, held=True), 1, 3))
    assert len(rows) == 2 * len(STEPS)
    found = curves(rows, ("si_sdri_db", "fidelity_si_sdr_db"))
    assert list(found) == ["generated"]
    assert list(found["generated"]["speech"]["si_sdri_db"]) == [str(s) for s in STEPS]
    assert str(max(STEPS)) not in found["generated"]["sound"]["fidelity_si_sdr_db"]
    values = [r["si_sdri_db"] for r in rows if (r["kind"], r["steps"]) == ("sound", 4)]
    assert found["generated"]["sound"]["si_sdri_db"]["4"][0] == pytest.approx(np.mean(values), abs=1e-4)


def test_drawn_mixtures_vary_and_the_ideal_mask_beats_the_mixture_by_more_where_less_is_common() -> None:
    held = pool(None, 8_000, generated=1, held=True)
    even, drawn = (cases(held, 16, 3, drawn=d) for d in (False, True))
    assert [(c.kind, c.text) for c in even] == [(c.kind, c.text) for c in drawn]
    ratios = [abs(10 * np.log10(np.square(c.target).sum() / np.square(c.residual).sum())) for c in drawn]
    assert np.ptp(ratios) > 2
    gains = [[ideal_mask_db(c, 8_000) - si_sdr_db(c.mixture, c.target) for c in found] for found in (even, drawn)]
    assert 3 < np.mean(gains[0]) < np.mean(gains[1])
