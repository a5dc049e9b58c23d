from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions import completeness_error, expected_gradients, gradient
from robust_saliency.attributions.scores import margin

KEY = jax.random.key(0)
SHAPE = (4, 3, 3, 2)
RANDOM = np.random.default_rng(0)
X = jnp.asarray(RANDOM.uniform(size=SHAPE), jnp.float32)
Y = jnp.array([0, 1, 0, 1])
CURVATURE = RANDOM.normal(size=(2, *SHAPE[1:])).astype(np.float32)
BACKGROUND = jnp.asarray(RANDOM.uniform(size=(6, *SHAPE[1:])), jnp.float32)


def linear(x):
  return jnp.einsum("khwc,bhwc->bk", CURVATURE, x)


def quadratic(x):
  return jnp.einsum("khwc,bhwc->bk", CURVATURE, x**2)


def test_one_background_image_and_a_linear_network_give_the_slope_times_the_distance():
  maps = expected_gradients(KEY, linear, X, Y, background=BACKGROUND[:1], samples=7)
  np.testing.assert_allclose(maps, CURVATURE[Y] * (X - BACKGROUND[0]), rtol=1e-5, atol=1e-6)


def test_its_mean_over_draws_is_that_of_integrated_gradients_over_the_background():
  # Of x^2 from b: a (x^2 - b^2), pixel by pixel.
  samples = 4000
  maps = expected_gradients(KEY, quadratic, X, Y, background=BACKGROUND, samples=samples)
  starts = np.asarray(BACKGROUND)[:, None]
  expected = (CURVATURE[Y] * (np.asarray(X) ** 2 - starts**2)).mean(axis=0)
  # |(x - b) 2 a (b + t (x - b))| <= 2 |a| bounds the deviation of one draw.
  assert np.all(np.abs(maps - expected) < 4 * np.abs(CURVATURE[Y]) / np.sqrt(samples))
  errors = [completeness_error(quadratic, X, Y, maps, baseline=b) for b in BACKGROUND]
  spread = 4 * 2 * np.abs(CURVATURE[Y]).sum(axis=(1, 2, 3)) / np.sqrt(samples)
  assert np.all(np.abs(np.mean(errors, axis=0)) < spread)


@pytest.mark.slow
def test_examples_draw_each_their_own_and_keep_it_among_others_and_on_other_devices():
  keys = jax.random.split(KEY, 16)
  x, y = jnp.broadcast_to(X[0], (16, *SHAPE[1:])), jnp.zeros(16, int)

  def explain(keys, x, y, chunk_size=None):
    return expected_gradients(
      keys, quadratic, x, y, background=BACKGROUND, samples=5, chunk_size=chunk_size
    )

  whole = explain(keys, x, y)
  assert len(np.unique(np.asarray(whole)[:, 0, 0, 0])) == 16
  for chunk_size in (1, 3, 40):
    np.testing.assert_allclose(explain(keys, x, y, chunk_size), whole, rtol=1e-5, atol=1e-6)
  dealt = [a.reshape(8, 2, *a.shape[1:]) for a in (keys, x, y)]
  on_eight = jax.pmap(explain)(*dealt).reshape(x.shape)
  np.testing.assert_allclose(on_eight, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_every_background_image_and_place_is_as_likely():
  # Of the identity in pixel 0 the gradient is 1, so that one draw gives x - b there.
  background = jnp.arange(4.0).reshape(4, 1, 1, 1)
  x, y = jnp.zeros((2000, 1, 1, 1)), jnp.zeros(2000, int)

  def one_pixel(x):
    return jnp.concatenate([x[:, 0, 0], jnp.zeros((len(x), 1))], axis=1)

  drawn = -expected_gradients(KEY, one_pixel, x, y, background=background, samples=1).ravel()
  counts = np.bincount(np.asarray(drawn).astype(int), minlength=4)
  assert np.all(np.abs(counts - 500) < 4 * np.sqrt(2000 * 0.25 * 0.75))


def test_the_score_is_that_of_the_attribution_within():
  maps = expected_gradients(
    KEY, linear, X, Y, background=BACKGROUND[:1], attribution=partial(gradient, score=margin)
  )
  slope = CURVATURE[Y] - CURVATURE[1 - Y]
  np.testing.assert_allclose(maps, slope * (X - BACKGROUND[0]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
  ("change", "error", "sentence"),
  [
    ({"background": BACKGROUND[0]}, ValueError, r"background must hold images of the shape"),
    ({"background": BACKGROUND[:0]}, ValueError, r"got shape \(0, 3, 3, 2\)"),
    ({"background": BACKGROUND.astype(int)}, TypeError, "background must hold floating-point"),
    ({"samples": 0}, ValueError, "samples must be >= 1, got 0"),
  ],
)
def test_bad_arguments_end_in_a_sentence(change, error, sentence):
  with pytest.raises(error, match=sentence):
    expected_gradients(KEY, linear, X, Y, **{"background": BACKGROUND, **change})
