from functools import partial

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies

from robust_saliency.attacks import cw_l2, cw_margin

KEY = jax.random.key(0)
FAST = {"steps": 150, "binary_search_steps": 6, "initial_constant": 0.1}


def run(logits_fn, x, y, **settings):
  return jax.jit(lambda x, y: cw_l2(KEY, logits_fn, x, y, **{**FAST, **settings}))(x, y)


def length(perturbations):
  return np.linalg.norm(np.float64(perturbations).reshape(len(perturbations), -1), axis=1)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (-2.0, 3.0)])
def test_cw_finds_the_nearest_boundary_of_a_linear_model(linear, bounds):
  weights, logits_fn, x, _ = linear(10)
  x = 0.5 + (x - 0.5) / 4  # so far from the bounds that they do not matter
  logits = np.float64(logits_fn(x))
  y = logits.argmax(axis=1)
  # The distance to the boundary with class k is (z_y - z_k) / ||w_y - w_k||.
  gaps = logits[np.arange(len(y)), y][:, None] - logits
  steepness = np.linalg.norm(np.float64(weights)[:, y, None] - weights[:, None], axis=0)
  with np.errstate(invalid="ignore"):
    distance = np.nanmin(gaps / steepness, axis=1)
  assert distance.max() < 0.44
  x_adv = run(logits_fn, x, jnp.array(y), bounds=bounds, steps=300, binary_search_steps=9)
  assert (jnp.argmax(logits_fn(x_adv), axis=1) != y).all()
  np.testing.assert_allclose(length(x_adv - x), distance, rtol=0.02)


def test_the_margin_is_at_least_the_confidence_and_not_much_more(linear):
  weights, logits_fn, x, _ = linear(2)
  y = jnp.argmax(logits_fn(x), axis=1)
  gap = jnp.abs(logits_fn(x) @ jnp.array([1.0, -1.0]))
  steepness = jnp.linalg.norm(weights[:, 0] - weights[:, 1])
  confidences = jnp.array([0.0, 0.2])
  attack = partial(cw_l2, KEY, logits_fn, x, y, steps=300, initial_constant=0.1)
  curve = jax.jit(jax.vmap(lambda confidence: attack(confidence=confidence)))(confidences)
  for confidence, x_adv in zip(confidences, curve, strict=True):
    assert (cw_margin(logits_fn(x_adv), y) >= confidence - 1e-6).all()
    np.testing.assert_allclose(length(x_adv - x), (gap + confidence) / steepness, rtol=0.02)


def test_targets_are_reached_at_the_distance_of_their_boundary(linear):
  weights, logits_fn, x, _ = linear(3)
  x = 0.5 + (x - 0.5) / 4
  order = jnp.argsort(logits_fn(x), axis=1)
  y, target = order[:, -1], order[:, 0]
  x_adv = run(logits_fn, x, target, targeted=True, bounds=(-2.0, 3.0), steps=300)
  assert (jnp.argmax(logits_fn(x_adv), axis=1) == target).all()
  logits = logits_fn(x)
  gap = jnp.take_along_axis(logits, order, 1)
  to_first = (gap[:, -1] - gap[:, 0]) / jnp.linalg.norm(weights[:, y] - weights[:, target], axis=0)
  assert (length(x_adv - x) >= to_first * (1 - 1e-4)).all()


@hypothesis.settings(max_examples=10, deadline=None)
@hypothesis.given(
  seed=strategies.integers(0, 2**31 - 1),
  width=strategies.sampled_from([0.01, 1.0, 255.0]),
  extremes=strategies.booleans(),
)
def test_any_result_is_the_image_itself_or_fools_the_model_within_bounds_and_epsilon(
  property_attack, seed, width, extremes
):
  random = np.random.default_rng(seed)
  x = random.uniform(size=(8, 2, 2, 1)).astype(np.float32)
  x = np.round(x) if extremes else x
  weights = jnp.float32(random.normal(size=(4, 3)) * 3)
  y = jnp.array(random.integers(0, 3, 8))
  epsilon = jnp.float32(random.uniform(0, 1))
  x_adv = np.asarray(property_attack(width, weights, x * width, y, epsilon))
  assert x_adv.min() >= 0
  assert x_adv.max() <= width
  moved = (x_adv != x * np.float32(width)).any((1, 2, 3))
  fooled = np.argmax(x_adv.reshape(8, 4) / np.float32(width) @ weights, axis=1) != y
  margins = np.diff(np.sort(x_adv.reshape(8, 4) / np.float32(width) @ weights))[:, -1]
  assert (fooled | (margins < 1e-5))[moved].all()
  assert (length(x_adv - x * np.float32(width)) <= epsilon * width * (1 + 1e-5)).all()


@pytest.fixture(scope="module")
def property_attack():
  @partial(jax.jit, static_argnums=0)
  def attack(width, weights, x, y, epsilon):
    return cw_l2(
      KEY,
      lambda images: images.reshape(8, 4) / width @ weights,
      x,
      y,
      epsilon=epsilon * width,
      steps=30,
      binary_search_steps=4,
      initial_constant=0.1 * width**2,
      learning_rate=0.1,
      bounds=(0.0, width),
    )

  return attack


def test_epsilon_cuts_and_what_fools_already_comes_back(network):
  logits_fn, x, y = network
  y = y.at[0].set((y[0] + 1) % 5)
  free = run(logits_fn, x, y)
  distance = length(free - x)
  assert (jnp.argmax(logits_fn(free), axis=1) != y).all()
  np.testing.assert_array_equal(free[0], x[0])
  epsilon = float(np.median(distance))
  cut = run(logits_fn, x, y, epsilon=epsilon)
  near = distance <= epsilon
  assert 0 < near.sum() < 16
  np.testing.assert_array_equal(cut[near], free[near])
  np.testing.assert_array_equal(cut[~near], x[~near])


def test_an_example_s_result_depends_neither_on_its_batch_nor_on_a_neighbour_s_nan(network):
  logits_fn, x, y = network

  def breaks(images):
    return logits_fn(images).at[3].set(jnp.nan)

  together = run(breaks, x, y, steps=20)
  np.testing.assert_array_equal(together[3], x[3])
  for n in (0, 7):
    alone = run(logits_fn, x[n : n + 1], y[n : n + 1], steps=20)
    np.testing.assert_allclose(alone[0], together[n], atol=1e-5)


@pytest.mark.parametrize(
  ("arguments", "error", "sentence"),
  [
    ({"epsilon": -0.1}, ValueError, "epsilon must be >= 0, got -0.1"),
    ({"steps": 0}, ValueError, "steps must be >= 1, got 0"),
    ({"binary_search_steps": 0}, ValueError, "binary_search_steps must be >= 1, got 0"),
    ({"initial_constant": 0.0}, ValueError, "initial_constant must be > 0, got 0.0"),
    ({"learning_rate": -1.0}, ValueError, "learning_rate must be > 0, got -1.0"),
    ({"confidence": -1.0}, ValueError, "confidence must be >= 0, got -1.0"),
    ({"confidence": jnp.ones(2)}, ValueError, "confidence must be one number"),
  ],
)
def test_a_bad_argument_is_refused_in_one_sentence(network, arguments, error, sentence):
  with pytest.raises(error, match=sentence):
    cw_l2(KEY, *network, **arguments)
