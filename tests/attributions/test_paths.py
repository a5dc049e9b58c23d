import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions import (
  SCORES,
  completeness_error,
  gradient,
  integrated_gradients,
)
from robust_saliency.attributions.paths import RULES

RANDOM = np.random.default_rng(0)
SHAPE = (4, 2, 2, 3)
WEIGHTS = RANDOM.normal(size=(12, 3))
X = RANDOM.uniform(-1, 1, size=SHAPE)
Y = np.array([0, 1, 2, 1])
KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def _double_precision():
  with jax.enable_x64(True):
    yield


def power(degree):
  """Logits (w . x)^degree, whose gradient on a line is a polynomial of degree - 1."""
  return lambda x: (x.reshape(len(x), -1) @ WEIGHTS) ** degree


def waves(x):
  return jnp.sin(x.reshape(len(x), -1)) @ WEIGHTS


def tanh_network(x):
  return jnp.tanh(x.reshape(len(x), -1) @ WEIGHTS) @ WEIGHTS[:3]


def attribute(logits_fn, **settings):
  return integrated_gradients(KEY, logits_fn, jnp.asarray(X), jnp.asarray(Y), **settings)


def exact_for_a_power(degree, baseline):
  """(x - b) w times the integral of degree (w . (b + t (x - b)))^(degree - 1) over t."""
  start = np.broadcast_to(baseline, SHAPE)
  w = WEIGHTS.T[Y].reshape(SHAPE)
  at_end, at_start = ((w * a).sum(axis=(1, 2, 3)) for a in (X, start))
  mean = (at_end**degree - at_start**degree) / (at_end - at_start)
  return (X - start) * w * mean[:, None, None, None]


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_gauss_legendre_is_exact_up_to_degree_twice_the_steps_and_no_further(steps):
  for degree in range(1, 2 * steps + 1):
    maps = attribute(power(degree), steps=steps, baseline=-0.3)
    np.testing.assert_allclose(maps, exact_for_a_power(degree, -0.3), rtol=1e-9, atol=1e-9)
  beyond = attribute(power(2 * steps + 1), steps=steps, baseline=-0.3)
  assert not np.allclose(beyond, exact_for_a_power(2 * steps + 1, -0.3), rtol=1e-6)


@pytest.mark.parametrize("steps", [2, 3, 7])
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_is_the_sum_that_numpy_makes(rule, steps):
  alphas, weights = {
    "left": (np.arange(steps) / steps, np.full(steps, 1 / steps)),
    "right": (np.arange(1, steps + 1) / steps, np.full(steps, 1 / steps)),
    "midpoint": ((np.arange(steps) + 0.5) / steps, np.full(steps, 1 / steps)),
    "trapezoid": (
      np.linspace(0, 1, steps),
      [np.trapezoid(row, np.linspace(0, 1, steps)) for row in np.eye(steps)],
    ),
    "gauss_legendre": np.polynomial.legendre.leggauss(steps),
  }[rule]
  if rule == "gauss_legendre":
    alphas, weights = (alphas + 1) / 2, weights / 2
  w = WEIGHTS.T[Y].reshape(SHAPE)
  start = 0.2
  slopes = [w * np.cos(start + a * (X - start)) for a in alphas]
  expected = (X - start) * sum(c * slope for c, slope in zip(weights, slopes, strict=True))
  maps = attribute(waves, rule=rule, steps=steps, baseline=start)
  np.testing.assert_allclose(maps, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_converges_to_the_integral(rule):
  # Of cos on a line: (sin x - sin b) w, pixel by pixel.
  expected = (np.sin(X) - np.sin(0.2)) * WEIGHTS.T[Y].reshape(SHAPE)
  maps = attribute(waves, rule=rule, steps=1000, baseline=0.2)
  np.testing.assert_allclose(maps, expected, atol=2e-3 if rule in ("left", "right") else 2e-6)


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("score", SCORES)
def test_maps_add_up_to_the_difference_of_the_scores(score):
  maps = attribute(tanh_network, score=score, baseline=0.1, steps=200)
  x, y, score_function = jnp.asarray(X), jnp.asarray(Y), SCORES[score]
  start = jnp.full(SHAPE, 0.1)
  difference = score_function(tanh_network(x), y) - score_function(tanh_network(start), y)
  # The margin has kinks on the line, where the other class that comes second changes.
  tolerance = 1e-2 if score == "margin" else 1e-9
  np.testing.assert_allclose(jnp.sum(maps, axis=(1, 2, 3)), difference, atol=tolerance)
  error = completeness_error(tanh_network, x, y, maps, baseline=0.1, score=score)
  np.testing.assert_allclose(error, 0, atol=tolerance)


def test_what_is_missing_from_a_map_is_its_completeness_error():
  x, y = jnp.asarray(X), jnp.asarray(Y)
  maps = attribute(tanh_network) + jnp.array([0.0, 1.0, -2.0, 0.5]).reshape(4, 1, 1, 1)
  error = completeness_error(tanh_network, x, y, maps)
  np.testing.assert_allclose(error, [0, 12, -24, 6], atol=1e-8)


@pytest.mark.slow
def test_maps_are_linear_in_the_network():
  def mixture(x):
    return 2 * waves(x) - 3 * tanh_network(x)

  expected = 2 * attribute(waves) - 3 * attribute(tanh_network)
  np.testing.assert_allclose(attribute(mixture), expected, rtol=1e-9, atol=1e-12)


def test_of_a_linear_network_it_is_the_gradient_times_the_distance():
  maps = attribute(power(1), baseline=0.4)
  slope = gradient(KEY, power(1), jnp.asarray(X), jnp.asarray(Y))
  np.testing.assert_allclose(maps, (X - 0.4) * slope, rtol=1e-12)


def test_pixels_that_do_not_count_or_do_not_differ_get_nothing():
  def first_channel(x):
    return tanh_network(x * jnp.array([1.0, 0.0, 0.0]))

  maps = attribute(first_channel, baseline=0.2)
  assert not maps[..., 1:].any()
  assert maps[..., 0].any()
  baseline = jnp.asarray(X).at[:, 0].set(0.7)
  assert not attribute(tanh_network, baseline=baseline)[:, 1].any()


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 2, 3), (1, 2, 2, 3), SHAPE, (4, 1, 1, 1)])
def test_a_baseline_is_a_number_an_image_or_one_per_example(shape):
  baseline = RANDOM.uniform(size=shape)
  whole = np.broadcast_to(baseline, SHAPE)
  np.testing.assert_array_equal(
    attribute(tanh_network, baseline=baseline), attribute(tanh_network, baseline=whole)
  )


@pytest.mark.slow
@pytest.mark.parametrize("chunk_size", [1, 3, 7, 100, None])
@pytest.mark.parametrize("unroll", [None, True, False, 3])
def test_chunks_and_unrolling_change_nothing(chunk_size, unroll):
  settings = {"baseline": RANDOM.uniform(size=SHAPE), "steps": 13}
  maps = attribute(tanh_network, chunk_size=chunk_size, unroll=unroll, **settings)
  np.testing.assert_allclose(maps, attribute(tanh_network, **settings), rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_the_baseline_may_be_traced():
  starts = jnp.array([0.0, 0.3, -1.0])
  curve = jax.jit(jax.vmap(lambda start: attribute(tanh_network, baseline=start)))(starts)
  expected = np.stack([attribute(tanh_network, baseline=float(start)) for start in starts])
  np.testing.assert_allclose(curve, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
  ("setting", "error", "sentence"),
  [
    ({"steps": 0}, ValueError, "steps must be >= 1, got 0"),
    ({"steps": 2.0}, TypeError, "steps must be a whole number"),
    ({"rule": "simpson"}, ValueError, "rule must be one of midpoint, left, right, trapezoid"),
    ({"rule": "trapezoid", "steps": 1}, ValueError, "steps must be >= 2, got 1"),
    ({"score": "los"}, ValueError, "score must be one of"),
    ({"chunk_size": 0}, ValueError, "chunk_size must be >= 1, got 0"),
    (
      {"baseline": np.zeros((2, 3, 3))},
      ValueError,
      r"baseline must broadcast to the images' shape \(4, 2, 2, 3\), got shape \(2, 3, 3\)",
    ),
  ],
)
def test_bad_settings_end_in_a_sentence(setting, error, sentence):
  with pytest.raises(error, match=sentence):
    attribute(tanh_network, **setting)


def test_completeness_refuses_what_attributions_refuse():
  x, maps = jnp.asarray(X), jnp.zeros(SHAPE)
  with pytest.raises(ValueError, match="y must hold classes 0 to 2, got 3"):
    completeness_error(tanh_network, x, jnp.array([0, 1, 2, 3]), maps)
  with pytest.raises(ValueError, match="baseline must broadcast"):
    completeness_error(tanh_network, x, jnp.asarray(Y), maps, baseline=np.zeros(5))
  with pytest.raises(ValueError, match="maps must have the images' shape"):
    completeness_error(tanh_network, x, jnp.asarray(Y), maps[..., :1])
  with pytest.raises(TypeError, match="maps must be an array of numbers, got NoneType"):
    completeness_error(tanh_network, x, jnp.asarray(Y), None)
