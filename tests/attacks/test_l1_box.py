import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from robust_saliency.attacks.l1_box import l1_ball_within_bounds

SIZE = 6
BOUNDS = (0.0, 1.0)

# One compilation for all examples of one size.
project = jax.jit(functools.partial(l1_ball_within_bounds, bounds=BOUNDS))
project_within_wide_bounds = jax.jit(functools.partial(l1_ball_within_bounds, bounds=(-1e6, 1e6)))


def by_bisection(candidate, image, radius):
  """The same projection in float64, from its optimality conditions."""
  candidate, image = (np.asarray(a, np.float64) for a in (candidate, image))
  change = candidate - image
  room = np.where(change > 0, 1 - image, image)

  def moved(threshold):
    return np.clip(np.abs(change) - threshold, 0, room)

  if moved(0).sum() > radius:
    threshold = optimize.brentq(
      lambda t: moved(t).sum() - radius, 0, np.abs(change).max(), xtol=1e-15
    )
  else:
    threshold = 0.0
  return image + np.sign(change) * moved(threshold)


@given(
  st.lists(st.floats(-2, 3, width=32), min_size=SIZE, max_size=SIZE),
  st.lists(st.sampled_from([0.0, 0.03, 0.5, 0.8, 1.0]), min_size=SIZE, max_size=SIZE),
  st.sampled_from([0.0, 1e-6, 0.01, 0.3, 1.0, 10.0]),
)
@settings(max_examples=200, deadline=None)
def test_it_is_the_float64_projection(candidate, image, radius):
  candidate, image = jnp.array(candidate), jnp.array(image)
  nearest = project(candidate, image, radius)
  np.testing.assert_allclose(nearest, by_bisection(candidate, image, radius), atol=5e-7)
  assert nearest.min() >= 0
  assert nearest.max() <= 1


@pytest.mark.parametrize("seed", range(5))
def test_a_general_solver_finds_no_nearer_point(seed):
  draws = np.random.RandomState(seed)
  image, candidate = draws.rand(SIZE), 2 * draws.randn(SIZE)
  radius = 0.2 + draws.rand()
  # In the positive and negative parts of the change, the ball is one linear constraint.
  solution = optimize.minimize(
    lambda parts: np.sum((image + parts[:SIZE] - parts[SIZE:] - candidate) ** 2),
    np.zeros(2 * SIZE),
    bounds=[(0, 1 - pixel) for pixel in image] + [(0, pixel) for pixel in image],
    constraints={"type": "ineq", "fun": lambda parts: radius - parts.sum()},
    options={"ftol": 1e-12, "maxiter": 500},
  )
  solved = image + solution.x[:SIZE] - solution.x[SIZE:]
  nearest = project(jnp.float32(candidate), jnp.float32(image), radius)
  np.testing.assert_allclose(nearest, solved, atol=1e-4)
  assert np.sum((nearest - candidate) ** 2) <= solution.fun + 1e-5


def test_radii_and_sizes_far_apart_keep_their_precision():
  image = jnp.zeros(5)
  for radius in (1e-5, 1.0, 1e4):
    candidate = jnp.array([4e4, 3.999e4, 1.0, -2e4, 3e4])
    nearest = project_within_wide_bounds(candidate, image, radius)
    np.testing.assert_allclose(np.abs(nearest).sum(), radius, rtol=1e-5)


def test_an_image_of_784_pixels_keeps_to_its_radius():
  keys = jax.random.split(jax.random.key(0), 2)
  image, noise = jax.random.uniform(keys[0], (28, 28, 1)), jax.random.normal(keys[1], (28, 28, 1))
  for radius in (0.1, 10.0, 100.0):
    nearest = project(image + noise, image, radius)
    length = np.abs(np.asarray(nearest, np.float64) - np.asarray(image, np.float64)).sum()
    np.testing.assert_allclose(length, radius, rtol=1e-5)


def test_what_lies_inside_stays():
  image = jnp.array([0.0, 0.5, 1.0])
  inside = jnp.array([0.2, 0.4, 0.9])
  np.testing.assert_array_equal(project(inside, image, 0.5), inside)
