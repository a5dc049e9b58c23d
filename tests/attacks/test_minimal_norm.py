"""What all minimal-norm attacks must do, and the distances they are summed up by."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linprog

from robust_saliency.attacks import accuracy_curve, deepfool, distances, fab, fmn
from robust_saliency.attacks.minimal_norm import fools

KEY = jax.random.key(0)
DUALS = {"linf": 1, "l2": 2, "l1": np.inf}
ATTACKS = {
  "fab": functools.partial(fab, steps=10, targets=4, unroll=False),
  "fab, untargeted": functools.partial(fab, steps=10, targets=None, unroll=False),
  "deepfool": deepfool,
  "fmn": functools.partial(fmn, unroll=False),
}
# How far beyond the minimal distance to a linear boundary each may end: FAB searches for it,
# DeepFool overshoots by 2 %, and FMN's ball still shrinks by 0.1 % at the end.
EXCESS = {"fab": 1e-2, "fab, untargeted": 1e-2, "deepfool": 2e-2, "fmn": 3e-2}
NORMS = {"fab": DUALS, "fab, untargeted": ["l2"], "deepfool": ["linf", "l2"], "fmn": DUALS}
WITH_NORMS = [(name, norm) for name, norms in NORMS.items() for norm in norms]

each_attack = pytest.mark.parametrize("name", ATTACKS)


ANYWHERE = 1e6  # an epsilon that excludes nothing


@functools.cache
def compiled(name, norm, logits_fn, **settings):
  """The attack as a function (x, y, keys, **traced), so that tests share compilations."""

  def attack(x, y, key=KEY, **traced):
    return ATTACKS[name](key, logits_fn, x, y, norm=norm, **settings, **traced)

  return jax.jit(attack)


def predicted(logits_fn, x):
  return np.asarray(jnp.argmax(logits_fn(x), axis=-1))


@pytest.fixture(scope="module")
def wide():
  """A linear model of 3x2x1 images, far from the bounds (-5, 5), with 5 classes."""
  keys = jax.random.split(jax.random.key(5), 2)
  weights = jax.random.normal(keys[0], (6, 5))
  x = jax.random.uniform(keys[1], (5, 3, 2, 1), minval=0.3, maxval=0.7)

  def logits_fn(images):
    return images.reshape(len(images), -1) @ weights

  return weights, logits_fn, x, jnp.argmax(logits_fn(x), axis=-1)


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize(("name", "norm"), WITH_NORMS)
def test_the_distance_to_a_linear_boundary_is_the_closed_form(wide, lengths, name, norm):
  weights, logits_fn, x, y = wide
  x_adv = compiled(name, norm, logits_fn, bounds=(-5.0, 5.0))(x, y)
  assert (predicted(logits_fn, x_adv) != y).all()
  logits = np.asarray(logits_fn(x), np.float64)
  weights = np.asarray(weights, np.float64)
  # The boundary to class k is |z_y - z_k| / ||w_y - w_k||_q away.
  nearest = np.full(len(x), np.inf)
  for k in range(5):
    gaps = np.linalg.norm(weights[:, [k]] - weights[:, y], DUALS[norm], axis=0)
    away = (logits[np.arange(len(x)), y] - logits[:, k]) / np.where(gaps > 0, gaps, 1)
    nearest = np.where(y == k, nearest, np.minimum(nearest, away))
  excess = lengths(x_adv - x, norm) / nearest - 1
  assert (excess >= -1e-5).all()
  assert (excess <= EXCESS[name] + 1e-4).all(), excess
  if name == "deepfool":
    np.testing.assert_allclose(excess, 0.02, atol=1e-4)


@pytest.mark.parametrize(("name", "norm"), WITH_NORMS)
def test_an_image_at_the_boundary_itself_is_moved_over_it(wide, lengths, name, norm):
  _, logits_fn, x, y = wide
  attack = compiled(name, norm, logits_fn, bounds=(-5.0, 5.0))
  right, wrong = x, attack(x, y)
  for _ in range(40):  # to the last bit
    middle = (right + wrong) / 2
    fooled = (predicted(logits_fn, middle) != y).reshape(-1, 1, 1, 1)
    right, wrong = jnp.where(fooled, right, middle), jnp.where(fooled, middle, wrong)
  assert (predicted(logits_fn, right) == y).all()
  x_adv = attack(right, y)
  assert (predicted(logits_fn, x_adv) != y).all()
  assert (lengths(x_adv - right, norm) < 1e-4).all()


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("norm", ["linf", "l1"])
@pytest.mark.parametrize("name", ["fab", "fmn"])
def test_the_distance_of_two_classes_within_the_bounds_is_the_linear_programs(lengths, name, norm):
  keys = jax.random.split(jax.random.key(3), 2)
  slope = jax.random.normal(keys[0], (6,))
  x = jnp.clip(jax.random.uniform(keys[1], (5, 3, 2, 1), minval=-0.3, maxval=1.3), 0.02, 0.98)
  flat = np.asarray(x, np.float64).reshape(5, 6)
  reach = np.where(slope > 0, 1 - flat, flat) @ np.abs(slope)
  # The boundary is at 60 % of what the bounds allow, so that pixels reach them on the way.
  offsets = -(flat @ slope) - 0.6 * reach

  def logits_fn(images):
    score = images.reshape(5, 6) @ slope + offsets
    return jnp.stack([-score, score], axis=1)

  x_adv = compiled(name, norm, logits_fn)(x, jnp.zeros(5, int))
  assert (predicted(logits_fn, x_adv) == 1).all()
  cost = np.ones({"linf": 1, "l1": 6}[norm])
  column = -np.ones((6, 1)) if norm == "linf" else -np.eye(6)
  rows = np.block([[np.eye(6), column], [-np.eye(6), column]])
  equation = np.r_[slope, np.zeros(len(cost))][None]
  shortest = [
    linprog(
      np.r_[np.zeros(6), cost],
      rows,
      np.zeros(12),
      equation,
      [0.6 * reach[i]],
      [*zip(-flat[i], 1 - flat[i], strict=True), *[(0, None)] * len(cost)],
    ).fun
    for i in range(5)
  ]
  np.testing.assert_allclose(lengths(x_adv - x, norm), shortest, rtol=EXCESS[name])


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize(
  ("name", "norm"), [*((name, "l2") for name in ATTACKS), ("fab", "linf"), ("fmn", "l1")]
)
def test_a_networks_images_are_fooled_within_the_bounds_and_epsilon(network, lengths, name, norm):
  logits_fn, x, y = network
  attack = compiled(name, norm, logits_fn)
  anywhere = np.asarray(attack(x, y, epsilon=ANYWHERE))
  assert (predicted(logits_fn, anywhere) != y).all()
  assert anywhere.min() >= 0
  assert anywhere.max() <= 1
  # With epsilon, the same images where they lie within the ball, and x where they do not.
  away = lengths(anywhere - x, norm)
  epsilon = float(np.median(away))
  x_adv = np.asarray(attack(x, y, epsilon=epsilon))
  near, beyond = away < epsilon * (1 - 1e-5), away > epsilon * (1 + 1e-5)
  assert near.any()
  assert beyond.any()
  np.testing.assert_allclose(x_adv[near], anywhere[near], atol=1e-6)
  np.testing.assert_array_equal(x_adv[beyond], x[beyond])
  assert (lengths(x_adv - x, norm) <= epsilon * (1 + 1e-6)).all()


@each_attack
def test_misclassified_images_are_returned_as_they_are(network, name):
  logits_fn, x, y = network
  wrong = jnp.where(jnp.arange(len(x)) % 2 == 0, y, (y + 1) % 5)
  x_adv = compiled(name, "l2", logits_fn)(x, wrong, epsilon=ANYWHERE)
  np.testing.assert_array_equal(x_adv[1::2], x[1::2])
  assert (jnp.abs(x_adv[::2] - x[::2]).max(axis=(1, 2, 3)) > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fab", "deepfool", "fmn"])
def test_an_image_does_not_depend_on_its_batch(network, name):
  logits_fn, x, y = network
  keys = jax.random.split(KEY, len(x))
  attack = compiled(name, "l2", logits_fn)
  together = attack(x, y, keys, epsilon=ANYWHERE)
  for i in (0, 7):
    one = slice(i, i + 1)
    alone = attack(x[one], y[one], keys[one], epsilon=ANYWHERE)
    np.testing.assert_allclose(alone, together[one], atol=1e-4)


@pytest.mark.quick_cases(1)
@each_attack
def test_a_model_without_gradients_or_with_nan_gives_finite_images(name):
  x = jax.random.uniform(KEY, (5, 2, 2, 1), minval=0.3, maxval=0.7)

  def logits_fn(images):
    pixels = images.reshape(5, 4)[:, :3]
    return jnp.stack(
      [
        jnp.array([0.0, 1.0, 0.0]),
        pixels[1] + jnp.nan,
        jnp.where((images[2] != x[2]).any(), jnp.nan, 1.0) * pixels[2] + jnp.array([0.0, 1.0, 0.0]),
        1e-30 * pixels[3] + jnp.array([0.0, 1e30, 0.0]),
        1e30 * pixels[4] + jnp.array([0.0, 1e30, 0.0]),
      ]
    )

  x_adv = compiled(name, "l2", logits_fn)(x, jnp.ones(5, int))
  assert np.isfinite(x_adv).all()
  np.testing.assert_array_equal(x_adv[:4], x[:4])
  assert jnp.min(x_adv) >= 0
  assert jnp.max(x_adv) <= 1


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
@each_attack
def test_the_type_of_the_pixels_is_kept(name, dtype):
  def logits_fn(images):
    return images.astype(jnp.float32).reshape(len(images), -1)[:, :5]

  with jax.enable_x64(dtype == "float64"):
    x = jax.ShapeDtypeStruct((2, 3, 2, 1), dtype)
    y, epsilon = jax.ShapeDtypeStruct((2,), jnp.int32), jax.ShapeDtypeStruct((), jnp.float32)
    x_adv = jax.eval_shape(
      lambda x, y, epsilon: ATTACKS[name](KEY, logits_fn, x, y, norm="l2", epsilon=epsilon),
      x,
      y,
      epsilon,
    )
  assert (x_adv.shape, x_adv.dtype) == (x.shape, x.dtype)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", NORMS)
def test_in_half_precision_steps_shorter_than_its_rounding_add_up(lengths, name, dtype):
  inner, outer, pixels = (
    jax.random.normal(key, shape)
    for key, shape in zip(
      jax.random.split(KEY, 3), [(784, 24), (24, 5), (16, 28, 28, 1)], strict=True
    )
  )

  def logits_fn(images):
    wide = images.astype(jnp.float32).reshape(len(images), -1)
    return jnp.tanh(wide @ inner / 14) @ outer

  x = jax.nn.sigmoid(pixels).astype(dtype)
  y = jnp.argmax(logits_fn(x), axis=-1)
  attack = compiled(name, "l2", logits_fn)
  x_adv, precise = attack(x, y), attack(x.astype(jnp.float32), y)
  assert np.all(predicted(logits_fn, x_adv) != y)
  way = lengths(np.float64(x_adv) - np.float64(x), "l2")
  assert np.median(way) < 1.1 * np.median(lengths(precise - x.astype(jnp.float32), "l2"))


def test_a_lead_that_rounding_could_turn_round_is_no_success():
  logits = jnp.array([[9.0, 9.00001], [9.0, 9.01], [9.0, 9.0], [jnp.nan, 9.0], [1e-9, 2e-9]])
  for y, expected in ((0, [False, True, False, False, True]), (1, [False] * 5)):
    np.testing.assert_array_equal(fools(logits, jnp.full(5, y)), expected)


@pytest.mark.quick_cases(2)
@each_attack
@pytest.mark.parametrize("mask", [-1e9, -np.inf])
def test_masked_classes_leave_the_others_their_boundary(wide, lengths, name, mask):
  _, logits_fn, x, y = wide

  def masked(images):
    logits = logits_fn(images)
    return jnp.concatenate([logits, jnp.full((len(logits), 1), mask)], axis=1)

  x_adv = compiled(name, "l2", masked, bounds=(-5.0, 5.0))(x, y)
  alone = compiled(name, "l2", logits_fn, bounds=(-5.0, 5.0))(x, y)
  assert np.all(predicted(masked, x_adv) != y)
  np.testing.assert_allclose(lengths(x_adv - x, "l2"), lengths(alone - x, "l2"), rtol=1e-3)


@pytest.mark.parametrize(
  ("arguments", "error", "sentence"),
  [
    ({"epsilon": -0.1}, ValueError, "epsilon must be >= 0, got -0.1"),
    ({"epsilon": jnp.ones(2)}, ValueError, "epsilon must be one number, got shape"),
    ({"steps": 0}, ValueError, "steps must be >= 1, got 0"),
    ({"norm": "l3"}, ValueError, "norm must be one of linf, l2, l1; got 'l3'"),
    ({"bounds": (0.6, 1)}, ValueError, "x must lie within bounds"),
  ],
)
@pytest.mark.parametrize("attack", [fab, deepfool, fmn])
def test_a_bad_argument_is_refused_in_one_sentence(network, attack, arguments, error, sentence):
  with pytest.raises(error, match=sentence):
    attack(KEY, *network, **arguments)


def test_distances_and_their_accuracy_curve_are_what_one_counts_by_hand():
  x = jnp.zeros((4, 1, 2, 1))
  x_adv = jnp.array([[0.0, 0.0], [0.3, -0.4], [0.6, 0.8], [0.1, 0.0]]).reshape(x.shape)
  away = distances("l2", x, x_adv, jnp.array([True, True, True, False]))
  np.testing.assert_allclose(away, [0, 0.5, 1, np.inf], rtol=1e-6)
  curve = accuracy_curve(away, jnp.array([0.0, 0.4, 0.6, 2.0]))
  np.testing.assert_allclose(curve, [0.75, 0.75, 0.5, 0.25])
