"""Closed forms against their check tables, and the published curve against its reconstruction."""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoscope.core.errors import InputError, UsageError
from otoscope.models.observers.ec import ECDurlach, ec_durlach_bmld, half_period_correlation, jitter_factor
from otoscope.models.observers.ec_chen2026 import ECChen2026, ec_chen2026_bmld

DATA = resources.files("otoscope.tasks.bmld") / "data"
FREQUENCIES = (125, 250, 500, 750, 1000, 1500, 2000, 4000)
TABLE_A = {
    "N0Spi": (14.72, 13.58, 10.73, 8.19, 6.14, 3.21, 1.45, 0.01),
    "N0S_phi=90deg": (11.86, 10.75, 8.07, 5.80, 4.08, 1.89, 0.78, 0.0),
    "N0Sm": (8.85, 7.74, 5.06, 2.79, 1.07, 0.0, 0.0, 0.0),
    "NpiS0": (11.16, 11.93, 10.18, 7.96, 6.03, 3.17, 1.43, 0.01),
    "NuSpi": (2.87, 2.82, 2.66, 2.40, 2.07, 1.32, 0.66, 0.0),
}


@pytest.mark.parametrize("name", TABLE_A)
def test_table_a(name: str) -> None:
    got = [ec_durlach_bmld(name, f) for f in FREQUENCIES]
    assert got == pytest.approx(TABLE_A[name], abs=0.02)


def test_table_a_factors() -> None:
    k = [jitter_factor(f) for f in FREQUENCIES]
    assert k[:7] == pytest.approx((1.070, 1.092, 1.185, 1.357, 1.642, 2.829, 6.059), abs=1e-3)
    assert k[7] == pytest.approx(1124, abs=0.5)
    g = [half_period_correlation(f) for f in FREQUENCIES]
    assert g == pytest.approx((0.911, 0.958, 0.975, 0.980, 0.982, 0.984, 0.985, 0.987), abs=1e-3)


def test_table_b_correlation_of_the_masker() -> None:
    rho = (1, 0.99, 0.98, 0.95, 0.9, 0.8, 0.6, 0.4, 0.2, 0, -0.5, -1)
    want = (10.73, 10.50, 10.28, 9.69, 8.85, 7.54, 5.72, 4.45, 3.46, 2.66, 1.13, 0.0)
    assert [ec_durlach_bmld(f"N_rho={r} Spi", 500) for r in rho] == pytest.approx(want, abs=0.01)


def test_table_c_phase_and_delay_of_the_target() -> None:
    phases, want = (0, 15, 30, 45, 60, 90, 120, 150, 180), (0, 0.74, 2.37, 4.13, 5.69, 8.07, 9.60, 10.46, 10.73)
    assert [ec_durlach_bmld(f"N0S_phi={p}deg", 500) for p in phases] == pytest.approx(want, abs=0.01)
    delays, want = (50, 100, 200, 300, 400, 500, 700, 1000), (0.28, 1.02, 3.08, 5.10, 6.76, 8.07, 9.82, 10.73)
    assert [ec_durlach_bmld(f"N0S_tau={t}us", 500) for t in delays] == pytest.approx(want, abs=0.01)


def test_the_closed_form_is_the_expectation_over_jitter() -> None:
    rng = np.random.default_rng(0)
    eps, delta = rng.normal(0, 0.25, (2, 400_000)), rng.normal(0, 105e-6, (2, 400_000))
    ears = (1 - eps) * np.exp(1j * 2 * np.pi * 500 * delta)
    noise, target = np.mean(np.abs(ears[0] - ears[1]) ** 2), np.mean(np.abs(ears[0] + ears[1]) ** 2)
    assert 10 * np.log10(target / noise) == pytest.approx(ec_durlach_bmld("N0Spi", 500), abs=0.05)


@given(st.floats(60, 6000), st.floats(-180, 180), st.floats(-0.99, 1.0), st.floats(-30, 30))
@settings(max_examples=60, deadline=None)
def test_never_negative_symmetric_and_n0spi_is_the_best_phase(f0, phase, rho, ild) -> None:
    best = ec_durlach_bmld(f"N_rho={rho} Spi", f0)
    got = ec_durlach_bmld(f"N_rho={rho} S_phi={phase:.6f}deg", f0)
    assert 0.0 <= got <= best + 1e-9
    assert got == pytest.approx(ec_durlach_bmld(f"N_rho={rho} S_phi={-phase:.6f}deg", f0), abs=1e-9)
    assert ec_durlach_bmld(f"N0S_ild={ild:.6f}dB", f0) >= 0.0


def test_order_of_conditions_is_that_of_listeners() -> None:
    human = json.loads((DATA / "human_vandepar1999.json").read_text("utf-8"))["hierarchy"]["values"]
    order = sorted(human, key=human.get)
    got = [ec_durlach_bmld(name, 500) for name in order]
    assert got == sorted(got)
    for name in ("N0S0", "NpiSpi", "NmSm"):
        assert ec_durlach_bmld(name, 500) == 0.0
    assert ec_durlach_bmld("N0S_ild=300dB", 500) == pytest.approx(ec_durlach_bmld("N0Sm", 500))
    assert ec_durlach_bmld("NuS0", 500) == ec_durlach_bmld("NuSpi", 500), "no target phase is preferred"


def test_the_published_curve() -> None:
    published = json.loads((DATA / "published_chen2026.json").read_text("utf-8"))
    series = next(s for s in published["series"] if s["id"] == "fig1a/EC")
    got = [ec_chen2026_bmld(f) for f in series["frequencies_hz"]]
    assert got == pytest.approx(series["values"], abs=0.06)
    assert got == pytest.approx((26.73, 21.44, 15.70, 10.08, 5.36, 3.14), abs=0.005)
    assert ECChen2026().bmld_db("N0Spi", 500) == ec_chen2026_bmld(500)


def test_published_data_are_consistent() -> None:
    published = json.loads((DATA / "published_chen2026.json").read_text("utf-8"))
    series = {s["id"]: s for s in published["series"]}
    for model, mean in (("Spatial-AST", 5.09), ("GRAM-T", 4.75), ("DSpAST", 2.27)):
        curve = series[f"fig1b/{model}"]["values"]
        assert np.mean(curve) == pytest.approx(mean, abs=0.06), "figure 1a is figure 1b averaged over SNR"
        assert series[f"fig1a/{model}"]["values"][2] == mean
    assert all(s["evidence"] in published["evidence"] for s in series.values())
    human = json.loads((DATA / "human_vandepar1999.json").read_text("utf-8"))
    values = {s["id"]: s["values"] for s in human["series"]}
    for f in (125, 250, 500, 1000, 2000, 4000):
        difference = np.subtract(values[f"{f}/N0S0"], values[f"{f}/N0Spi"])
        assert difference == pytest.approx(values[f"{f}/bmld"], abs=0.11)
        assert values[f"{f}/bmld"][0] > values[f"{f}/bmld"][-1], "the BMLD falls with bandwidth"


def test_what_has_no_answer() -> None:
    assert ECDurlach().bmld_db("N0Spi", 500.0) == ec_durlach_bmld("N0Spi", 500.0)
    assert ECDurlach(sigma_delta=0.0).bmld_db("N0Spi", 4000.0) > 14.0
    for bad in (lambda: ec_durlach_bmld("N0", 500), lambda: ec_durlach_bmld("N0Sx", 500)):
        with pytest.raises(UsageError):
            bad()
    with pytest.raises(UsageError):
        ECChen2026().bmld_db("NpiS0", 500)
    for f in (0.0, -1.0, float("nan")):
        with pytest.raises(InputError):
            ec_durlach_bmld("N0Spi", f)
        with pytest.raises(InputError):
            ec_chen2026_bmld(f)
