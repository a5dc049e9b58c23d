import os
import subprocess
import sys
import warnings
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from robust_saliency.attributions.gradient import gradient
from robust_saliency.attributions.local.lime import explain_locally, lime
from robust_saliency.attributions.local.lime_neighbourhood import random_masks
from robust_saliency.attributions.local.superpixels import grid
from robust_saliency.core import example_keys

KEY = jax.random.key(0)
SHAPE = (6, 6, 2)
SLOPES = jnp.asarray(np.random.default_rng(1).normal(size=(np.prod(SHAPE), 3)), jnp.float32)


def linear(x):
  return x.reshape(len(x), -1) @ SLOPES + jnp.array([0.3, -0.2, 0.1])


def curved(x):
  return 3 * jnp.tanh(x.reshape(len(x), -1) @ SLOPES / 4)


def images(batch=3):
  return jax.random.uniform(jax.random.key(2), (batch, *SHAPE))


X, Y = images(), jnp.array([2, 0, 1])
explain = partial(explain_locally, segments=partial(grid, cells=3), samples=60)

# Rows of different shapes are summed in different orders.
ROUNDING = 2e-5


@pytest.fixture(autouse=True)
def _no_warnings_of_few_samples_and_low_scores():
  with warnings.catch_warnings():
    warnings.filterwarnings("ignore", message="LIME")
    yield


def assert_same(actual, expected, atol=ROUNDING):
  for a, b in zip(actual, expected, strict=True):
    np.testing.assert_allclose(a, b, atol=atol)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("cells", [2, 3, 6])
def test_a_linear_model_is_recovered_exactly(cells):
  segments = grid(X, cells=cells)
  settings = {"segments": segments, "fill": 0.0, "alpha": 0.0, "score": "logit", "samples": 200}
  model = explain_locally(KEY, linear, X, Y, **settings)
  maps = np.asarray(X * jnp.moveaxis(SLOPES, 1, 0)[Y].reshape(X.shape))
  for n in range(3):
    expected = [maps[n][segments == label].sum() for label in range(cells**2)]
    np.testing.assert_allclose(model.coefficients[n], expected, atol=1e-4)
  np.testing.assert_allclose(model.score, 1, atol=1e-4)
  np.testing.assert_allclose(
    model.local_prediction, jnp.take_along_axis(linear(X), Y[:, None], 1)[:, 0], atol=1e-4
  )
  painted = lime(KEY, linear, X, Y, **settings)
  assert painted.shape == X.shape
  np.testing.assert_allclose(painted[0, 0, 0], model.coefficients[0, 0])
  np.testing.assert_allclose(painted[2, 5, 5], model.coefficients[2, -1])


def test_each_image_may_have_segments_of_its_own():
  segments = np.random.RandomState(0).randint(0, 5, (3, 6, 6))
  fill = images(3)[::-1]
  model = explain_locally(
    KEY, linear, X, Y, segments=segments, fill=fill, alpha=0.0, score="logit", samples=200
  )
  slopes = jnp.moveaxis(SLOPES, 1, 0)[Y].reshape(X.shape)
  effects = np.asarray((X - fill) * slopes)
  for n in range(3):
    expected = [effects[n][segments[n] == label].sum() for label in range(5)]
    np.testing.assert_allclose(model.coefficients[n], expected, atol=1e-4)


def test_the_numbers_are_scikit_learns_on_the_same_masks():
  segments, keys = grid(X, cells=3), example_keys(KEY, 3)
  model = explain(KEY, curved, X, Y)
  for n in range(3):
    masks = np.asarray(random_masks(keys[n], jnp.arange(60), 9))
    fill = np.zeros(SHAPE)
    for label in range(9):
      fill[segments == label] = np.asarray(X)[n][segments == label].mean(axis=0)
    shown = np.where(masks[:, segments][..., None], X[n], fill)
    answers = np.asarray(jax.nn.softmax(curved(jnp.asarray(shown, jnp.float32))))[:, Y[n]]
    distances = 1 - np.sqrt(masks.mean(axis=1))
    weights = np.sqrt(np.exp(-(distances**2) / 0.25**2))
    ridge = Ridge(alpha=1.0).fit(masks, answers.astype(np.float64), sample_weight=weights)
    np.testing.assert_allclose(model.coefficients[n], ridge.coef_, atol=1e-5)
    np.testing.assert_allclose(model.intercept[n], ridge.intercept_, atol=1e-5)
    score = ridge.score(masks, answers, sample_weight=weights)
    np.testing.assert_allclose(model.score[n], score, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("chunk_size", [1, 7, 25, 60, 130, 1000])
def test_chunk_size_changes_nothing(chunk_size):
  explain_jitted = jax.jit(partial(explain, logits_fn=curved, chunk_size=chunk_size))
  assert_same(explain_jitted(KEY, x=X, y=Y), explain(KEY, curved, X, Y, chunk_size=20))


@pytest.mark.parametrize("chunk_size", [7, 70])
def test_no_model_call_is_larger_than_chunk_size(chunk_size):
  rows = []

  def counting(x):
    rows.append(len(x))
    return curved(x)

  jax.jit(partial(explain, logits_fn=counting, chunk_size=chunk_size)).lower(KEY, x=X, y=Y)
  # The first trace only asks for the number of classes.
  assert rows[0] == 3
  assert 1 < max(rows[1:]) <= chunk_size


@pytest.mark.slow
def test_an_example_does_not_depend_on_its_companions():
  keys = jax.random.split(KEY, 3)
  together = explain(keys, curved, X, Y, chunk_size=128)
  for n in range(3):
    alone = explain(keys[n : n + 1], curved, X[n : n + 1], Y[n : n + 1], chunk_size=128)
    assert_same((leaf[0] for leaf in alone), (leaf[n] for leaf in together))
  other = explain(keys.at[0].set(jax.random.key(9)), curved, X, Y, chunk_size=128)
  assert np.abs(other.coefficients[0] - together.coefficients[0]).max() > 1e-3
  np.testing.assert_allclose(other.coefficients[1:], together.coefficients[1:], atol=ROUNDING)


@pytest.mark.slow
def test_several_classes_are_those_one_at_a_time():
  classes = jnp.array([[0, 1], [2, 2], [1, 0]])
  both = explain(KEY, curved, X, classes)
  assert both.coefficients.shape == (3, 2, 9)
  for m in range(2):
    assert_same((leaf[:, m] for leaf in both), explain(KEY, curved, X, classes[:, m]))


@pytest.mark.slow
def test_segments_that_an_image_lacks_have_coefficient_zero_and_change_nothing():
  segments = np.stack([grid(X, cells=2), grid(X, cells=3)])
  together = explain(KEY, curved, X[:2], Y[:2], segments=segments)
  np.testing.assert_array_equal(together.coefficients[0, 4:], 0)
  keys = example_keys(KEY, 2)
  alone = explain(keys[:1], curved, X[:1], Y[:1], segments=segments[0])
  np.testing.assert_allclose(together.coefficients[0, :4], alone.coefficients[0], atol=ROUNDING)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("selection", ["highest_weights", "forward_selection", "lasso_path"])
def test_no_more_features_than_asked_for_have_coefficients(selection):
  model = explain(KEY, curved, X, Y, selection=selection, max_features=4)
  counts = np.count_nonzero(model.coefficients, axis=-1)
  assert counts.max() <= 4
  assert counts.min() >= 1


@pytest.mark.slow
@pytest.mark.parametrize(
  "fill", [0.5, np.full(2, 0.5), np.full(SHAPE, 0.5), np.full((3, *SHAPE), 0.5)]
)
def test_a_constant_fill_is_any_array_that_broadcasts(fill):
  assert_same(explain(KEY, curved, X, Y, fill=fill), explain(KEY, curved, X, Y, fill=0.5))


def test_scores_are_names_or_functions():
  named = explain(KEY, curved, X, Y, score="margin")
  assert np.abs(named.coefficients - explain(KEY, curved, X, Y).coefficients).max() > 1e-2
  own = explain(KEY, curved, X, Y, score=lambda z, y: jax.nn.softmax(z)[jnp.arange(len(y)), y])
  assert_same(own, explain(KEY, curved, X, Y, score="probability"))


@pytest.mark.slow
def test_numbers_may_be_traced():
  sweep = jax.jit(
    lambda alphas, widths: jax.vmap(
      lambda alpha, width: explain(KEY, curved, X, Y, alpha=alpha, kernel_width=width)
    )(alphas, widths)
  )(jnp.array([0.1, 1.0]), jnp.array([0.25, 0.5]))
  assert_same((leaf[1] for leaf in sweep), explain(KEY, curved, X, Y, alpha=1.0, kernel_width=0.5))


@pytest.mark.slow
def test_devices_change_nothing():
  keys = jax.random.split(KEY, 4)
  x, y = images(4), jnp.array([0, 1, 2, 0])
  one = explain(keys, curved, x, y)
  many = jax.pmap(lambda k, x, y: explain(k[None], curved, x[None], y[None]))(keys, x, y)
  assert_same((leaf[:, 0] for leaf in many), one)


@pytest.mark.slow
def test_ten_thousand_samples_take_the_memory_of_a_chunk():
  class Network(nn.Module):
    @nn.compact
    def __call__(self, x):
      x = nn.relu(nn.Conv(16, (3, 3))(x))
      return nn.Dense(10)(nn.avg_pool(x, (4, 4), (4, 4)).reshape(len(x), -1))

  shape = (1000, 32, 32, 3)
  variables = Network().init(KEY, jnp.zeros((1, *shape[1:])))
  logits_fn = partial(Network().apply, variables)

  def temporary(function, batch):
    arguments = (
      jax.ShapeDtypeStruct((batch, *shape[1:]), jnp.float32),
      jax.ShapeDtypeStruct((batch,), jnp.int32),
    )
    compiled = jax.jit(lambda x, y: function(KEY, logits_fn, x, y)).lower(*arguments).compile()
    return compiled.memory_analysis().temp_size_in_bytes

  allowed = 1.5 * (temporary(gradient, 16) + 2 * 4 * np.prod(shape))
  explain_many = partial(lime, samples=10_000, chunk_size=16)
  assert temporary(explain_many, 1000) < allowed


def test_low_scores_are_warned_of_where_they_are_known():
  def parity(x):
    kept = jnp.sum(x, axis=(1, 2, 3))
    return jnp.stack([jnp.cos(jnp.pi * kept), 0 * kept], axis=1)

  x, y = jnp.ones((1, 3, 3, 1)), jnp.array([0])
  settings = {"segments": "pixels", "fill": 0.0, "score": "logit", "samples": 500}
  with pytest.warns(UserWarning, match=r"fits poorly for 1 of 1 explanations"):
    explain_locally(KEY, parity, x, y, **settings)
  with warnings.catch_warnings():
    warnings.simplefilter("error")
    jax.jit(partial(explain_locally, logits_fn=parity, **settings))(KEY, x=x, y=y)


LINEAR_IN_PIXELS = """
import warnings
import jax
from robust_saliency.attributions import lime
slopes = jax.random.normal(jax.random.key(1), (72, 3))
x = jax.random.uniform(jax.random.key(2), (3, 6, 6, 2))
warnings.simplefilter("error")
lime(jax.random.key(0), lambda x: x.reshape(len(x), -1) @ slopes, x, jax.numpy.array([2, 0, 1]),
     segments="pixels", score="logit", samples=400, fill=0.0)
"""


@pytest.mark.slow
def test_a_linear_network_is_not_warned_of():
  # With users' flags: not optimised at all, as other tests are compiled for speed, jaxlib 0.10.1
  # computes another fit for one of the three.
  environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
  subprocess.run([sys.executable, "-c", LINEAR_IN_PIXELS], check=True, env=environment)


@pytest.mark.parametrize(
  ("change", "error", "message"),
  [
    ({"x": jnp.zeros((3, 6, 6, 2), jnp.uint8)}, TypeError, "x must hold floating-point pixels"),
    ({"x": jnp.zeros((3, 6, 6, 2, 1))}, ValueError, r"x must have shape \[batch, height, width"),
    ({"y": jnp.array([0, 1])}, ValueError, r"y must have one class per image, shape \(3,\)"),
    ({"y": jnp.array([0, 1, 3])}, ValueError, "y must hold classes 0 to 2, got 3"),
    ({"y": jnp.zeros((3, 1, 1), int)}, ValueError, r"y must have one class per image"),
    ({"samples": 0}, ValueError, "samples must be >= 1, got 0"),
    ({"chunk_size": None}, TypeError, "chunk_size must be a whole number"),
    ({"fill": "median"}, ValueError, "fill must be one of mean; got 'median'"),
    (
      {"fill": np.zeros((5, 5))},
      ValueError,
      r"fill must broadcast to .* \(3, 6, 6, 2\), got",
    ),
    ({"kernel_width": 0.0}, ValueError, "kernel_width must be > 0, got 0"),
    ({"alpha": -1}, ValueError, "alpha must be >= 0, got -1"),
    ({"distance": "l1"}, ValueError, "distance must be one of cosine, l2; got 'l1'"),
    ({"score": "probabilty"}, ValueError, r"did you mean 'probability'\?"),
    ({"selection": "all"}, ValueError, "selection must be one of auto"),
    ({"segments": "squares"}, ValueError, "segments must be one of grid"),
  ],
)
def test_bad_arguments_are_named(change, error, message):
  arguments = {"x": X, "y": Y, "segments": "pixels", "samples": 20} | change
  with pytest.raises(error, match=message):
    lime(KEY, logits_fn=linear, **arguments)


def test_classes_are_one_or_several_per_image():
  with pytest.raises(ValueError, match=r"y must have one class per image, shape \(3,\), got"):
    lime(KEY, linear, X, jnp.zeros((3, 2), int))
  with pytest.raises(ValueError, match=r"y must have shape \[batch\] or \[batch, classes\]"):
    explain(KEY, linear, X, jnp.zeros((3, 1, 1), int))
