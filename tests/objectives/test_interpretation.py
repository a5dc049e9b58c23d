import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import models, objectives
from robust_saliency.objectives import Batch, weighted_sum
from robust_saliency.objectives.interpretation import thresholded
from tests.objectives import numerical
from tests.objectives.test_weighted_sum import (
  StockNetwork,
  convolutions_in,
  keys_of,
  on_one_device,
)


def outside(maps, threshold):
  """Values outside mean +- t unbiased standard deviations, map by map."""
  kept = np.zeros_like(maps)
  for one, into in zip(maps, kept, strict=True):
    mean, deviation = one.mean(), one.std(ddof=1)
    far = (one > mean + threshold * deviation) | (one < mean - threshold * deviation)
    into[far] = one[far]
  return kept


def cosines(a, b):
  a, b = a.reshape(len(a), -1), b.reshape(len(b), -1)
  return np.array(
    [u @ v / np.linalg.norm(u) / np.linalg.norm(v) for u, v in zip(a, b, strict=True)]
  )


@pytest.mark.parametrize("problem", [True], indirect=True, ids=["batch norm"])
def test_direction_and_magnitude_are_those_of_the_true_class_s_gradient(problem):
  @jax.jit
  def values(x, y, maps):
    model = problem.logits_fn(), x, y
    return {
      output: (
        objectives.interpretation_direction(*model, maps, output=output),
        objectives.interpretation_magnitude(*model, output=output),
      )
      for output in numerical.OUTPUTS
    }

  for output, (direction, magnitude) in values(problem.x, problem.y, problem.maps).items():
    rows = numerical.true_class_gradient(problem, output=output)
    np.testing.assert_allclose(direction, 1 - cosines(rows, problem.maps), rtol=1e-7)
    np.testing.assert_allclose(magnitude, np.linalg.norm(rows), rtol=1e-7)


@pytest.mark.parametrize("problem", [False], indirect=True, ids=["plain"])
def test_sizes_are_compared_and_maps_thresholded_where_asked_for(problem):
  choices = [(True, None), (False, 1.0), (True, 0.3)]

  @jax.jit
  def values(x, y, maps):
    model = problem.logits_fn(), x, y, maps
    return [
      (
        objectives.interpretation_direction(*model, absolute=absolute, threshold=threshold),
        objectives.interpretation_distance(*model, absolute=absolute, threshold=threshold),
      )
      for absolute, threshold in choices
    ]

  found = values(problem.x, problem.y, problem.maps)
  rows = numerical.true_class_gradient(problem)
  for (absolute, threshold), (direction, distance) in zip(choices, found, strict=True):
    ours = np.abs(rows) if absolute else rows
    maps = problem.maps if threshold is None else outside(problem.maps, threshold)
    np.testing.assert_allclose(direction, 1 - cosines(ours, maps), rtol=1e-7)
    np.testing.assert_allclose(distance, np.linalg.norm(ours - maps), rtol=1e-7)


@pytest.mark.parametrize("threshold", [0, 1, 1.25])
def test_a_threshold_keeps_what_lies_outside_mean_and_deviation(threshold):
  maps = np.random.default_rng(0).laplace(1.0, size=(3, 4, 5, 2)).astype(np.float32)
  kept = np.asarray(jax.jit(thresholded)(maps, threshold))
  np.testing.assert_array_equal(kept, outside(maps, threshold))
  assert 0 < (kept == 0).mean() < 1 or threshold == 0
  np.testing.assert_array_equal(thresholded(jnp.asarray(maps), None), maps)


@pytest.mark.parametrize("power", [-110, -70, 70])
def test_what_a_threshold_keeps_does_not_depend_on_the_size_of_the_map(power):
  maps = np.random.default_rng(0).normal(size=(2, 4, 5, 1)).astype(np.float32)
  other = np.ldexp(maps, power)
  np.testing.assert_array_equal(thresholded(other, 1.0), np.ldexp(outside(maps, 1.0), power))


def test_maps_of_zeros_and_of_one_pixel_stay_finite_under_a_threshold():
  of = jax.jit(thresholded)
  assert not of(np.zeros((2, 3, 3, 1), np.float32), 1.0).any()
  assert of(np.ones((2, 1, 1, 1), np.float32), 1.0).tolist() == [[[[0.0]]]] * 2


@jax.jit
def direction_and_slope(weights):
  maps = jnp.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1e-12]]).reshape(2, 1, 1, 3)

  def direction(weights):
    return objectives.interpretation_direction(
      lambda x: x.reshape(2, 3) @ weights, jnp.ones((2, 1, 1, 3)), jnp.array([0, 1]), maps
    )

  return direction(weights), jax.grad(lambda weights: direction(weights)[0])(weights)


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1.0, 1e15])
def test_the_direction_of_a_gradient_does_not_depend_on_its_length(scale):
  weights = np.array([[3.0, 4.0, 0.0], [1.0, 2.0, 2.0]], np.float32).T * np.float32(scale)
  direction, slope = direction_and_slope(weights)
  np.testing.assert_allclose(direction, [1 - 3 / 5, 1 - 2 / 3], rtol=1e-5)
  # -(t - cos u) / ||g|| for the first class's gradient g, of direction u.
  expected = -(np.array([1, 0, 0]) - 0.6 * np.array([0.6, 0.8, 0])) / 5
  np.testing.assert_allclose(slope[:, 0] * np.float32(scale), expected, rtol=1e-5, atol=1e-6)


def test_direction_and_magnitude_share_one_double_backprop():
  apply_fn = models.apply_fn(StockNetwork())
  params = jax.eval_shape(
    lambda: models.init(StockNetwork(), jax.random.key(0), (4, 4, 1))["params"]
  )
  maps = {"maps": jnp.ones((5, 4, 4, 1))}
  batch = Batch(jnp.ones((5, 4, 4, 1)), jnp.zeros(5, int), jnp.ones(5), jnp.array(5), maps)

  def convolutions(*names):
    terms = {name: {} for name in names}

    def loss(params):
      objective = weighted_sum(terms)
      return on_one_device(
        lambda: objective(keys_of(batch), apply_fn, {"params": params}, batch).sum
      )

    return convolutions_in(jax.make_jaxpr(jax.grad(loss))(params).jaxpr)

  once = convolutions("cross_entropy", "input_gradient_penalty")
  assert once > convolutions("cross_entropy")
  both = convolutions("cross_entropy", "interpretation_direction", "interpretation_magnitude")
  assert both == once
