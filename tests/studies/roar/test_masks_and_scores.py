"""The parts of ROAR and KAR that train nothing, against SciPy, NumPy and the formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from robust_saliency.attributions.faithfulness import important_pixels
from robust_saliency.studies.roar.removal import CONTROLS
from robust_saliency.studies.roar.retraining import fill_of
from robust_saliency.studies.roar.scores import area_over_control, slopes
from tests.studies.roar.planted import INFORMATIVE


@pytest.mark.parametrize("fraction", [0.0, 0.2, 0.5, 0.75, 1.0])
def test_as_many_pixels_are_important_as_asked_for_and_they_are_numpys(fraction):
  maps = np.random.default_rng(0).normal(size=(5, 4, 4, 2)).astype(np.float32)
  found = important_pixels(jax.random.key(0), maps, fraction=fraction)
  values = maps.sum(axis=-1).reshape(5, 16)
  count = round(fraction * 16)
  expected = np.zeros((5, 16), bool)
  np.put_along_axis(expected, np.argsort(-values, axis=1)[:, :count], values=True, axis=1)
  np.testing.assert_array_equal(np.asarray(found).reshape(5, 16), expected)


def test_equal_values_are_drawn_at_random_and_not_from_the_first_row():
  maps = jnp.zeros((2000, 4, 4, 1)).at[:, 3, 3].set(1.0)
  found = np.asarray(important_pixels(jax.random.key(0), maps, fraction=0.25))
  assert found[:, 3, 3].all()
  shares = found.reshape(2000, 16)[:, :15].mean(axis=0)
  # 3 of the other 15; a binomial's standard deviation is 0.009.
  np.testing.assert_allclose(shares, 3 / 15, atol=0.045)


def test_noise_decides_only_below_its_size():
  maps = jnp.array([1e-12, 0, 0, 1e-3]).reshape(1, 2, 2, 1)
  keys = jax.random.split(jax.random.key(0), 200)
  found = np.asarray(
    jax.vmap(lambda key: important_pixels(key, maps, fraction=0.5, noise=1e-8))(keys)
  ).reshape(200, 4)
  assert found[:, 3].all()
  assert 0.2 < found[:, 0].mean() < 0.5


def test_the_worst_ranking_loses_nothing_until_three_quarters_are_gone():
  """Hooker et al.'s toy: 16 features, 4 of them informative, least squares by NumPy."""
  random = np.random.default_rng(0)
  x = random.normal(size=(4000, 16))
  y = np.sign(x[:, :INFORMATIVE].sum(axis=1))
  ranking = np.where(np.arange(16) < INFORMATIVE, 1.0, 0.0)

  def accuracy(ranks, fraction):
    maps = np.broadcast_to(ranks, x.shape).astype(np.float32)
    gone = np.asarray(important_pixels(jax.random.key(0), maps, fraction=fraction))
    left = np.where(gone, 0.0, x)
    weights, *_ = np.linalg.lstsq(left[:2000], y[:2000], rcond=None)
    return np.mean(np.sign(left[2000:] @ weights) == y[2000:])

  whole = accuracy(ranking, 0.0)
  assert whole > 0.97
  for fraction in (0.25, 0.5, 0.75):
    assert abs(accuracy(-ranking, fraction) - whole) < 0.01
  assert accuracy(-ranking, 0.9) < whole - 0.1
  assert accuracy(ranking, 0.0625) < whole - 0.1
  assert abs(accuracy(ranking, 0.25) - 0.5) < 0.05


def test_slopes_are_those_of_numpys_polynomials():
  random = np.random.default_rng(0)
  score, clean = random.normal(size=(2, 1, 4, 3)), random.uniform(size=(4, 3))
  numbers = {"a": 0.0, "b": 1.0, "d": 4.0}
  found = slopes(score, clean, ("a", "b", "c", "d"), {"l2": numbers})
  for s in range(3):
    of_seed = score[1, 0, [0, 1, 3], s]
    expected = np.polyfit([0, 1, 4], of_seed, 1)[0]
    np.testing.assert_allclose(found["slope"][1, 0, 0, s], expected)
    expected = np.polyfit(clean[[0, 1, 3], s], of_seed, 1)[0]
    np.testing.assert_allclose(found["tradeoff"][1, 0, 0, s], expected)


def test_fills_are_scipys_and_numpys():
  x = np.random.default_rng(0).uniform(size=(2, 5, 5, 3)).astype(np.float32)
  np.testing.assert_allclose(fill_of(x, x, "channel_mean"), x.mean(axis=(0, 1, 2)), rtol=1e-6)
  assert fill_of(x, x, 0.25).tolist() == [0.25]
  blurred = fill_of(x, x, "blur")
  assert blurred.shape == x.shape
  assert blurred.std() < 0.5 * x.std()


@pytest.mark.parametrize("control", sorted(CONTROLS))
def test_what_a_control_says_of_an_image_follows_from_that_image_alone(control):
  x = np.random.default_rng(0).uniform(size=(4, 6, 5, 3)).astype(np.float32)
  found = CONTROLS[control](x)
  for i in range(len(x)):
    np.testing.assert_array_equal(found[i], CONTROLS[control](x[i : i + 1])[0])


def test_edges_are_scipys_in_each_channel_of_each_image():
  x = np.random.default_rng(0).uniform(size=(3, 6, 5, 2)).astype(np.float32)
  for image, found in zip(x, CONTROLS["edges"](x), strict=True):
    lengths = [
      np.hypot(ndimage.sobel(channel, axis=0), ndimage.sobel(channel, axis=1))
      for channel in np.moveaxis(image, -1, 0)
    ]
    np.testing.assert_allclose(found, sum(lengths), rtol=1e-5)


def test_scores_are_the_authors_formula():
  """Kim, Seo & Jeon's fractions: 0.15 d(.1) + 0.2 (d(.3) + d(.5) + d(.7)) + 0.15 d(.9)."""
  difference = np.array([0.01, -0.02, 0.03, 0.05, 0.04])
  control = np.full(5, 0.4)
  found = area_over_control(
    control + difference, control, np.array([0.1, 0.3, 0.5, 0.7, 0.9]), keeps=True
  )
  expected = np.array([0.15, 0.2, 0.2, 0.2, 0.15]) @ difference
  np.testing.assert_allclose(found, expected)


def test_one_fraction_is_taken_at_a_time():
  with pytest.raises(ValueError, match="fraction must be one number"):
    important_pixels(jax.random.key(0), jnp.zeros((2, 4)), fraction=jnp.array([0.25, 0.5, 0.75, 1]))
