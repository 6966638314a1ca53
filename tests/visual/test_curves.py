"""Curves: thinning keeps peaks, smoothing is a mean, groups follow the sides of the game."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolbox.visual.curves import MAX_POINTS, loss_charts, nice_ticks, smoothed, thinned


def test_thinning_keeps_the_peaks() -> None:
    x, y = np.arange(20_000.0), np.zeros(20_000)
    y[12_345], y[777] = 9.0, -3.0
    kept_x, kept_y = thinned(x, y)
    assert len(kept_x) <= MAX_POINTS and (np.diff(kept_x) > 0).all()
    assert {12_345.0, 777.0} <= set(kept_x) and kept_y.max() == 9.0 and kept_y.min() == -3.0


def test_smoothing_keeps_constants_and_skips_nan() -> None:
    y = np.full(400, 2.5)
    y[100] = math.nan
    out = smoothed(y)
    assert np.isnan(out[100]) and np.allclose(np.delete(out, 100), 2.5)


def test_smoothing_quiets_noise() -> None:
    y = np.random.default_rng(0).normal(size=1000)
    assert smoothed(y).std() < 0.3 * y.std()


def test_few_readings_are_not_smoothed() -> None:
    y = np.array([1.0, 5.0, 2.0])
    assert (smoothed(y) == y).all()


@given(st.floats(-1e6, 1e6), st.floats(1e-4, 1e6))
def test_ticks_are_few_and_within(low: float, width: float) -> None:
    ticks = nice_ticks(low, low + width)
    slack = 1e-6 * (abs(low) + width)
    assert 2 <= len(ticks) <= 12
    assert all(low - slack <= tick <= low + width + slack for tick in ticks)


def readings(n: int, **terms: float) -> list[dict[str, float]]:
    return [
        {"iteration": 10 * i, "kimg": 0.64 * i, **{key.replace("__", "/"): v for key, v in terms.items()}}
        for i in range(1, n + 1)
    ]


def test_terms_are_grouped_by_the_side_they_move() -> None:
    charts = loss_charts(
        readings(
            30,
            adv__generator=1.0,
            adv__discriminator=2.0,
            ce__prompt_discriminator=2.0,
            labels__classifier=0.3,
            speed=4.0,
        )
    )
    titles = [chart.split("<figcaption>")[1].split("<")[0] for chart in charts]
    assert titles == ["Discriminator side", "Generator side", "Classifier", "Other readings"]
    assert "ce (prompt_discriminator)" in charts[0]


def test_terms_of_another_size_get_their_own_chart() -> None:
    charts = loss_charts(readings(30, adv__discriminator=1.0, r1__discriminator=0.001))
    assert [("1 of 2" in c, "2 of 2" in c) for c in charts] == [(True, False), (False, True)]


def test_values_under_the_pointer_are_in_the_chart() -> None:
    [chart] = loss_charts(readings(30, adv__generator=0.125))
    assert "<title>iteration 100, 6.4 kimg\nadv: 0.125</title>" in chart


@pytest.mark.parametrize("values", [[math.nan] * 5, [math.inf, 1.0, math.nan, 2.0, 3.0], [1.0], [0.0] * 50])
def test_odd_curves_are_drawn(values: list[float]) -> None:
    charts = loss_charts([{"iteration": i + 1, "a/generator": value} for i, value in enumerate(values)])
    assert len(charts) == 1 and not re.search(r'="-?(nan|inf)|[ML ](nan|inf)', charts[0])


def test_readings_that_are_not_finite_are_counted() -> None:
    records = readings(30, a__generator=1.0)
    records[3]["a/generator"] = math.nan
    assert "(1 readings not finite)" in loss_charts(records)[0]


def test_a_term_that_comes_later_has_its_own_beginning() -> None:
    records = readings(60, a__generator=1.0)
    for record in records[30:]:
        record["late/generator"] = 0.5
    [chart] = loss_charts(records)
    assert "late" in chart


def test_a_long_run_stays_small() -> None:
    records = readings(20_000, a__generator=1.0, b__generator=2.0)
    assert len(loss_charts(records)[0]) < 120_000
