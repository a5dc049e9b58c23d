"""Attacks on images that are normalised outside the model, where every channel has its own scale.

The oracle is the same network with the normalisation inside, attacked on pixels in [0, 1] with one
epsilon. A new attack is in by itself.
"""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks import (
  ATTACKS,
  apgd,
  autoattack_members,
  bim,
  fgsm,
  pgd,
  run_attacks,
  steepest_steps,
)
from robust_saliency.attacks.evaluation.verification import leaves_threat_model
from robust_saliency.core import NORMS
from robust_saliency.core.binding import settings_of

KEY = jax.random.key(0)
EPSILON = {"linf": 0.1, "l2": 0.5, "l1": 2.0}
MEAN = np.array([0.48, 0.4, 0.55], np.float32)
STD = np.array([0.25, 0.4, 0.1], np.float32)
# Few steps, so that rounding has no time to grow.
SETTINGS = {
  "fgsm": {},
  "tgsm": {"steps": 3},
  "bim": {"steps": 3, "step_size": 0.04},
  "mim": {"steps": 3},
  "pgd": {"steps": 3, "step_size": 0.04},
  "apgd": {"steps": 5},
  "apgd_targeted": {"steps": 4, "targets": 2},
  "square": {"queries": 6},
  "deepfool": {},
  "fab": {"steps": 3, "targets": 2},
  "fmn": {"steps": 10, "step_size": 0.5},
  "cw_l2": {"steps": 10, "binary_search_steps": 2, "initial_constant": 1.0},
  "jsma": {"theta": 0.2},
}
# Those that look for the nearest image measure nearness in plain pixels, JSMA moves by plain theta.
IN_PLAIN_PIXELS = ("deepfool", "fab", "fmn", "cw_l2", "jsma")
# What is a length of theirs, and its power.
LENGTHS = {"step_size": 1, "theta": 1, "initial_constant": 2}


@pytest.fixture(scope="module")
def network():
  keys = jax.random.split(jax.random.key(7), 3)
  inner = jax.random.normal(keys[0], (48, 24)) / 6
  outer = jax.random.normal(keys[1], (24, 5))
  pixels = jax.random.uniform(keys[2], (4, 4, 4, 3))

  def of_normalised(images):
    return jnp.tanh(images.reshape(len(images), -1) @ inner) @ outer

  return of_normalised, pixels


def norms_of(name):
  if "norm" not in settings_of(ATTACKS[name]):
    return [None]
  return [norm for norm in NORMS if (name, norm) != ("deepfool", "l1")]


QUICK = {("fgsm", "linf"), ("pgd", "l2"), ("square", "linf"), ("deepfool", "l2"), ("jsma", None)}


def slow_but(quick, cases):
  return [pytest.param(*one, marks=[] if one in quick else pytest.mark.slow) for one in cases]


def test_every_attack_is_tried():
  assert SETTINGS.keys() == ATTACKS.keys()


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
  ("name", "norm"), slow_but(QUICK, [(name, norm) for name in ATTACKS for norm in norms_of(name)])
)
def test_normalised_images_are_attacked_as_the_model_that_normalises_is(network, name, norm):
  of_normalised, pixels = network
  plain = name in IN_PLAIN_PIXELS
  std = np.float32(0.3) if plain else STD
  settings = SETTINGS[name] | ({} if norm is None else {"norm": norm})
  scaled = {
    field: value / std ** LENGTHS[field] if field in LENGTHS else value
    for field, value in settings.items()
  }
  if not plain:
    settings = {**settings, "epsilon": EPSILON[norm or "linf"]}
    scaled = {**scaled, "epsilon": settings["epsilon"] / std}

  def normalised(images):
    return (images - MEAN) / std

  bounds = normalised(np.zeros(3, np.float32)), normalised(np.ones(3, np.float32))
  y = jnp.argmax(of_normalised(normalised(pixels)), axis=1)
  inside = ATTACKS[name](KEY, lambda x: of_normalised(normalised(x)), pixels, y, **settings)
  outside = ATTACKS[name](KEY, of_normalised, normalised(pixels), y, bounds=bounds, **scaled)
  assert outside.dtype == pixels.dtype
  assert (outside >= bounds[0]).all()
  assert (outside <= bounds[1]).all()
  np.testing.assert_allclose(outside * std + MEAN, inside, atol=2e-5)
  assert jnp.abs(inside - pixels).max() > 0.01


@pytest.mark.parametrize(
  ("name", "norm"),
  slow_but({("pgd", "l1")}, itertools.product(["pgd", "apgd", "square"], NORMS)),
)
def test_the_ball_is_that_of_the_norm_in_units_of_epsilon(network, lengths, name, norm):
  of_normalised, pixels = network
  epsilon = np.array([0.02, 0.1, 0.0], np.float32) * EPSILON[norm] * 10
  y = jnp.argmax(of_normalised(pixels), axis=1)
  x_adv = ATTACKS[name](KEY, of_normalised, pixels, y, norm=norm, epsilon=epsilon, **SETTINGS[name])
  delta = np.float64(x_adv - pixels)
  np.testing.assert_array_equal(x_adv[..., 2], pixels[..., 2])
  assert (lengths(delta[..., :2] / epsilon[:2], norm) <= 1 + 1e-5).all()
  assert np.abs(delta[..., 1]).max() > 0
  outside = leaves_threat_model(
    np.asarray(x_adv), np.asarray(pixels), norm=norm, epsilon=epsilon, bounds=(0.0, 1.0)
  )
  assert not outside.any()


def test_a_step_of_its_own_length_in_each_channel_is_the_steepest():
  slope, x = jnp.array([3.0, -1.0, 2.0]), jnp.full((1, 1, 3), 0.5)
  step = np.array([0.1, 0.2, 0.05])
  # max <slope, d> such that ||d / step|| = 1, by Hölder's inequality.
  scaled = step * np.asarray(slope)
  for norm, expected in (
    ("linf", step * np.sign(slope)),
    ("l2", step * scaled / np.linalg.norm(scaled)),
    ("l1", np.eye(3)[np.argmax(np.abs(scaled))] * step * np.sign(scaled)),
  ):
    steps = steepest_steps(NORMS[norm], step, (0.0, 1.0))
    move, _ = steps.update(slope.reshape(x.shape), steps.init(x), x)
    np.testing.assert_allclose(move.reshape(3), expected, rtol=1e-5, atol=1e-7)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("thin", [0.0, 0.01])
def test_one_length_of_a_step_moves_wide_channels_as_far_beside_thin_ones(norm, thin):
  weights = jnp.array([[1.0, -1.0], [0.5, -0.5], [0.25, -0.25]])
  x = jnp.full((1, 1, 1, 3), 0.5)

  def of_one_pixel(images):
    return images[:, 0, 0] @ weights

  settings = {"norm": norm, "epsilon": np.array([thin, 0.4, 0.4]), "step_size": 0.1, "steps": 8}
  x_adv = bim(KEY, of_one_pixel, x, jnp.array([0]), **settings)
  moved = np.asarray(x_adv - x).ravel()
  # The steepest direction in the ball, whose radii are those of the channels.
  scaled = settings["epsilon"] * np.array([1.0, 0.5, 0.25])
  corner = {"linf": np.ones(3), "l2": scaled / np.linalg.norm(scaled), "l1": np.array([0, 1, 0])}
  np.testing.assert_allclose(moved, -settings["epsilon"] * corner[norm], atol=2e-2)


@pytest.mark.slow
def test_radii_and_bounds_may_be_traced_and_mapped(network):
  of_normalised, pixels = network
  y = jnp.argmax(of_normalised(pixels), axis=1)
  attack = functools.partial(pgd, KEY, of_normalised, steps=2)
  several = jnp.array([[0.1, 0.2, 0.3], [0.3, 0.1, 0.0]])
  low, high = jnp.full(3, -0.1), jnp.array([1.0, 1.1, 1.2])
  mapped = jax.jit(jax.vmap(lambda radii: attack(pixels, y, epsilon=radii, bounds=(low, high))))
  for radii, x_adv in zip(several, mapped(several), strict=True):
    alone = attack(pixels, y, epsilon=radii, bounds=(low, high))
    np.testing.assert_allclose(alone, x_adv, atol=1e-5)


def test_half_precision_images_keep_their_dtype(network):
  of_normalised, pixels = network
  x, y = pixels.astype(jnp.float16), jnp.zeros(4, int)
  x_adv = fgsm(KEY, of_normalised, x, y, epsilon=jnp.array([0.1, 0.2, 0.0]))
  assert x_adv.dtype == jnp.float16
  moved = np.abs(np.float64(x_adv) - np.float64(x)).max(axis=(0, 1, 2))
  np.testing.assert_allclose(moved, [0.1, 0.2, 0.0], atol=2e-3)


def test_l1_auto_pgd_spends_nothing_on_a_channel_without_a_radius():
  rng = np.random.default_rng(0)
  weights = rng.normal(size=(6, 6, 3))
  pixels = rng.uniform(size=(8, 6, 6, 3))
  # The worst of a linear network is a knapsack's: per unit of l1 a pixel is worth its weight.
  worth = weights[..., :2].ravel()
  held = pixels[..., :2].reshape(8, -1)
  order = np.argsort(-np.abs(worth))
  room = np.where(worth > 0, 1 - held, held)[:, order]
  taken = np.diff(np.minimum(np.cumsum(room, axis=1), 3.0), axis=1, prepend=0)
  best = taken @ np.abs(worth)[order]

  def logits_fn(images):
    raised = jnp.einsum("bhwc,hwc->b", images, jnp.float32(weights))
    return jnp.stack([jnp.zeros(len(images)), raised], axis=1)

  x, y, epsilon = jnp.float32(pixels), jnp.zeros(8, int), np.float32([3, 3, 0])
  settings = {"norm": "l1", "loss": "cw_margin", "steps": 50}
  x_adv = apgd(KEY, logits_fn, x, y, epsilon=epsilon, **settings)
  gained = np.einsum("bhwc,hwc->b", np.float64(x_adv) - np.float64(x), weights)
  np.testing.assert_allclose(gained, best, rtol=0.03)


@pytest.mark.parametrize("name", ["fgsm", "pgd", "apgd"])
def test_a_channel_without_a_radius_leaves_half_precision_its_bounds(network, name):
  of_normalised, pixels = network
  x = (255 * pixels).astype(jnp.float16)
  radii = np.float32([8, 16, 0])
  attack = functools.partial(ATTACKS[name], KEY, lambda images: of_normalised(images / 255))
  length = {"step_size": 4.0} if name == "pgd" else {}
  settings = {**SETTINGS[name], **length, "epsilon": radii, "bounds": (0.0, 255.0)}
  x_adv = attack(x, jnp.zeros(4, int), **settings)
  moved = np.abs(np.float64(x_adv) - np.float64(x)).max(axis=(0, 1, 2))
  assert (moved[:2] > radii[:2] / 2).all()
  assert (moved <= radii * (1 + 1e-2)).all()  # float16 has steps of an eighth near 255


@pytest.mark.slow
def test_the_attacks_of_autoattack_and_their_judge_take_radii_per_channel(network):
  of_normalised, pixels = network

  def normalised(images):
    return (images - MEAN) / STD

  low, high = normalised(np.zeros(3, np.float32)), normalised(np.ones(3, np.float32))
  y = jnp.argmax(of_normalised(normalised(pixels)), axis=1)
  few = {"steps": 4, "targets": 2, "queries": 6}
  sides = {
    "inside": (lambda x: of_normalised(normalised(x)), pixels, 0.1, (0.0, 1.0)),
    "outside": (of_normalised, normalised(pixels), 0.1 / STD, (low, high)),
  }
  results = {
    side: run_attacks(
      KEY,
      logits_fn,
      x,
      y,
      attacks=autoattack_members(5, epsilon=epsilon, bounds=bounds, **few),
      epsilon=epsilon,
      bounds=bounds,
      in_turn=False,
    )
    for side, (logits_fn, x, epsilon, bounds) in sides.items()
  }
  inside, outside = results["inside"], results["outside"]
  assert not outside.outside.any()
  assert inside.broken.any()
  np.testing.assert_array_equal(outside.broken, inside.broken)
  np.testing.assert_allclose(outside.x_adv * STD + MEAN, inside.x_adv, atol=2e-5)


def test_a_judge_measures_in_units_of_each_channels_radius():
  x = np.full((4, 1, 1, 2), 0.5, np.float32)
  moves = np.float32([[0.1, 0.0], [0.1, 1e-3], [0.101, 0.0], [0.0, 0.0]]).reshape(x.shape)
  outside = functools.partial(leaves_threat_model, x + moves, x, bounds=(0.0, 1.0))
  assert outside(norm="linf", epsilon=np.array([0.1, 0.0])).tolist() == [False, True, True, False]
  radii = np.array([0.2, 0.002])
  assert outside(norm="l1", epsilon=radii).tolist() == [False, False, False, False]
  assert outside(norm="l1", epsilon=radii * 0.9).tolist() == [False, True, False, False]
  bounds = (np.zeros(2), np.array([1.0, 0.5]))
  within = leaves_threat_model(x + moves, x, norm="linf", epsilon=None, bounds=bounds)
  assert within.tolist() == [False, True, False, False]


@pytest.mark.parametrize("name", ATTACKS)
def test_what_has_the_wrong_length_is_refused_with_its_name_and_shape(network, name):
  of_normalised, pixels = network
  attack = functools.partial(ATTACKS[name], KEY, of_normalised, pixels, jnp.zeros(4, int))
  given = {} if name in IN_PLAIN_PIXELS else {"epsilon": 0.1}
  for low, high in ((np.zeros(2), 1.0), (0.0, np.ones(1)), (0.0, np.ones((3, 1)))):
    with pytest.raises(ValueError, match=r"of bounds must be one number or .*, shape \(3,\), got"):
      attack(bounds=(low, high), **given)
  with pytest.raises(TypeError, match=r"bounds per channel must be arrays, got \[0, 0, 0\]"):
    attack(bounds=([0, 0, 0], [1, 1, 1]), **given)
  with pytest.raises(ValueError, match=r"x must lie within bounds .* in channel 1"):
    attack(bounds=(0.0, np.array([1.0, 0.5, 1.0])), **given)
  with pytest.raises(ValueError, match="bounds must be finite with low < high"):
    attack(bounds=(np.array([0.0, 1.0, 0.0]), 1.0), **given)
  if given:
    with pytest.raises(TypeError, match="logits_fn must be a function, got None"):
      ATTACKS[name](KEY, None, pixels, jnp.zeros(4, int), epsilon=np.ones(3))
  for field in ("epsilon", "step_size"):
    if field in settings_of(ATTACKS[name]) and not (field == "step_size" and name == "fmn"):
      with pytest.raises(ValueError, match=rf"{field} must be one number.*got shape \(2,\)"):
        attack(**{**given, field: np.array([0.1, 0.2])})
