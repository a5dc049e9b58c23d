import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, linprog

from robust_saliency.attacks.hyperplane import step_to_hyperplane

ORDERS = {"linf": np.inf, "l2": 2, "l1": 1}
PIXELS = 7

project = {
  norm: jax.jit(jax.vmap(functools.partial(step_to_hyperplane, norm=norm))) for norm in ORDERS
}


def shortest_by_linear_program(x, slope, value, norm):
  """The least norm of a step to the hyperplane within [0, 1], infinity where there is none."""
  n = len(x)
  box = list(zip(-x, 1 - x, strict=True))
  identity = np.eye(n)
  if norm == "linf":  # minimise t with |d_i| <= t
    column = -np.ones((n, 1))
    bounds, cost = [*box, (0, None)], np.r_[np.zeros(n), 1]
  else:  # minimise the sum of t_i with |d_i| <= t_i
    column = -identity
    bounds, cost = [*box, *[(0, None)] * n], np.r_[np.zeros(n), np.ones(n)]
  rows = np.block([[identity, column], [-identity, column]])
  equation = np.r_[slope, np.zeros(len(cost) - n)][None]
  solution = linprog(cost, rows, np.zeros(2 * n), equation, [-value], bounds)
  return solution.fun if solution.success else np.inf


def shortest_by_multiplier(x, slope, value):
  """The same in l2, from the optimality conditions: d = clip(multiplier * slope, box)."""

  def step(multiplier):
    return np.clip(multiplier * slope, -x, 1 - x)

  def excess(multiplier):
    return value + slope @ step(multiplier)

  reach = 2 / np.abs(slope[slope != 0]).min()
  if excess(-reach) * excess(reach) > 0:
    return np.inf
  return np.linalg.norm(step(brentq(excess, -reach, reach, xtol=1e-14, rtol=1e-14)))


def problems(seed, count=40, pixels=PIXELS, spread=1.0):
  """Images with some pixels at a bound, slopes over several magnitudes, and values of any size."""
  random = np.random.default_rng(seed)
  x = np.clip(random.uniform(-0.2, 1.2, (count, pixels)), 0, 1)
  slope = random.normal(size=(count, pixels)) * 10 ** random.uniform(-spread, 0, (count, pixels))
  value = random.normal(size=count) * random.uniform(0, 1, count)
  return [a.astype(np.float32) for a in (x, slope, value)]


def slack(x, slope, value):
  """What rounding of float32 makes of the equation."""
  return 4e-6 * (np.abs(value) + np.abs(slope).sum(axis=-1))


@pytest.mark.parametrize("norm", ORDERS)
def test_the_step_is_as_short_as_the_oracle_finds(norm):
  x, slope, value = problems(seed=0)
  steps = np.asarray(project[norm](x, slope, value), np.float64)
  solved = 0
  for d, *problem in zip(steps, *[a.astype(np.float64) for a in (x, slope, value)], strict=True):
    if norm == "l2":
      shortest = shortest_by_multiplier(*problem)
    else:
      shortest = shortest_by_linear_program(*problem, norm)
    if np.isinf(shortest):
      continue
    solved += 1
    np.testing.assert_allclose(np.linalg.norm(d, ORDERS[norm]), shortest, rtol=1e-5, atol=1e-6)
    assert abs(problem[2] + problem[1] @ d) <= slack(*problem)
  assert solved >= 20  # the others' hyperplanes miss the box


@pytest.mark.parametrize("norm", ORDERS)
def test_a_hyperplane_out_of_reach_is_approached_as_far_as_the_bounds_allow(norm):
  x, slope, _ = problems(seed=1)
  for value in (100.0, -100.0):
    steps = project[norm](x, slope, jnp.full(len(x), value))
    corner = np.where(slope * value > 0, 0.0, 1.0)
    np.testing.assert_allclose(x + steps, corner, atol=1e-6)


@pytest.mark.parametrize("norm", ORDERS)
def test_far_from_the_bounds_it_is_the_closed_form(norm):
  dual = {"linf": 1, "l2": 2, "l1": np.inf}[norm]
  _, slope, value = problems(seed=2)
  x, value = np.full_like(slope, 0.5), value * 0.01
  lengths = np.linalg.norm(project[norm](x, slope, value), ORDERS[norm], axis=1)
  np.testing.assert_allclose(
    lengths, np.abs(value) / np.linalg.norm(slope, dual, axis=1), rtol=1e-5
  )


@pytest.mark.parametrize("norm", ORDERS)
@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_any_problem_gives_a_finite_step_within_the_bounds_that_cannot_be_shortened(norm, data):
  def pixels(low, high):
    return st.lists(
      st.floats(low, high, width=32, allow_subnormal=False), min_size=PIXELS, max_size=PIXELS
    )

  x = np.array([data.draw(pixels(0, 1))], np.float32)
  slope = np.array([data.draw(pixels(-8, 8))], np.float32)
  value = np.array([data.draw(st.floats(-4, 4, width=32, allow_subnormal=False))], np.float32)
  d = np.asarray(project[norm](x, slope, value), np.float64)[0]
  x, slope, value = x[0].astype(np.float64), slope[0].astype(np.float64), float(value[0])
  assert np.isfinite(d).all()
  assert (x + d >= -1e-6).all()
  assert (x + d <= 1 + 1e-6).all()
  assert (d * slope * value <= 0).all()  # no pixel moves away from the hyperplane
  reached = value + slope @ d
  # It stops short only where all pixels that help stand at their bounds.
  if abs(reached) > slack(x, slope, value):
    helps = slope != 0
    assert reached * value > 0
    np.testing.assert_allclose((x + d)[helps], np.where(slope * value > 0, 0, 1)[helps], atol=1e-6)
  elif value and np.abs(slope).max() > 1e-3:
    # Duality: with the pixels at their bounds taken out, the rest cannot do with less.
    moved = np.abs(d)
    inside = (x + d > 1e-6) & (x + d < 1 - 1e-6)
    steep = np.abs(slope)
    if norm == "linf":
      assert (moved[inside & (steep > 0)] >= moved.max() - 1e-6).all()
    elif norm == "l1":
      free = steep[inside]
      assert not free.size or (moved[steep < free.max() - 1e-6] <= 1e-6).all()
    elif inside.any() and steep[inside].max() > 1e-3:
      level = moved[inside].max() / steep[inside][np.argmax(moved[inside])]
      np.testing.assert_allclose(moved[inside], level * steep[inside], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("norm", ORDERS)
def test_slopes_of_any_scale_give_the_same_step(norm):
  x, slope, value = problems(seed=3)
  for scale in (1e-30, 1e25):
    np.testing.assert_allclose(
      project[norm](x, slope * np.float32(scale), value * np.float32(scale)),
      project[norm](x, slope, value),
      rtol=1e-4,
      atol=1e-6,
    )


@pytest.mark.parametrize("norm", ORDERS)
def test_ten_thousand_pixels_of_slopes_over_ten_magnitudes_are_solved(norm):
  x, slope, _ = problems(seed=4, count=4, pixels=10_000, spread=10)
  reach = np.where(slope < 0, 1 - x, x) * np.abs(slope)
  value = (0.9 * reach.sum(axis=1)).astype(np.float32)  # nearly all pixels end at their bounds
  steps = np.asarray(project[norm](x, slope, value), np.float64)
  np.testing.assert_allclose((steps * slope).sum(axis=1), -value, rtol=1e-5)


@pytest.mark.parametrize("norm", ORDERS)
def test_no_slope_and_no_way_to_go_are_no_steps(norm):
  x = np.full((2, PIXELS), 0.3, np.float32)
  np.testing.assert_array_equal(project[norm](x, np.zeros_like(x), np.array([1.0, 0.0])), 0)
  np.testing.assert_array_equal(project[norm](x, np.ones_like(x), np.zeros(2)), 0)


def test_other_bounds_and_half_precision_are_kept():
  x = jnp.full((2, 3, 1), -1.0, jnp.bfloat16)
  slope = jnp.arange(6.0, dtype=jnp.bfloat16).reshape(2, 3, 1)
  for norm in ORDERS:
    step = functools.partial(step_to_hyperplane, norm=norm, bounds=(-1.0, 1.0))
    d = jax.jit(step)(x, slope, -20.0)
    assert d.dtype == x.dtype
    np.testing.assert_allclose(jnp.vdot(slope, d).astype(float), 20, rtol=2e-2)
    assert (x + d <= 1).all()


def test_an_unknown_norm_is_refused():
  with pytest.raises(ValueError, match="norm must be one of linf, l2, l1; got 'l3'"):
    step_to_hyperplane(jnp.ones(3), jnp.ones(3), 1.0, norm="l3")
