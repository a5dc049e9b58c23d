"""What every attack with `targeted` must do; a new attack is in by itself."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from robust_saliency.attacks import ATTACKS, apgd, cross_entropy, pgd
from robust_saliency.core.binding import settings_of
from robust_saliency.core.losses import cw_margin, dlr, get_loss

KEY = jax.random.key(0)
CLASSES = 5
BOUNDS = (-5.0, 5.0)
TARGETED = [name for name, one in ATTACKS.items() if "targeted" in settings_of(one)]
# Each reaches any class of the small model below with these.
SETTINGS = {
  "fgsm": {"epsilon": 2.0, "norm": "l2"},
  "tgsm": {"epsilon": 0.2, "steps": 10, "unroll": False},
  "bim": {"epsilon": 2.0, "unroll": False},
  "mim": {"epsilon": 2.0, "unroll": False},
  "pgd": {"epsilon": 2.0, "unroll": False},
  "apgd": {"epsilon": 2.0, "steps": 10, "unroll": False},
  "deepfool": {},
  "fab": {"steps": 40, "unroll": False},
  "fmn": {},
  "cw_l2": {"steps": 200, "binary_search_steps": 8, "initial_constant": 0.1},
  "square": {"epsilon": 2.0, "queries": 200},
  "jsma": {"gamma": 1.0, "theta": 4.0},
}
NEAREST = ("deepfool", "fab", "fmn", "cw_l2")


@pytest.fixture(scope="module")
def model():
  """A linear model of 3x2x1 images far from the bounds, one image for each pair of classes.

  Each class has a pixel of its own, so that it can be reached, by raising pixels alone, too:
  (weights, logits_fn, x, labels, targets).
  """
  weights = 2 * jnp.eye(6, CLASSES) - 0.5 * (jnp.arange(6) < CLASSES)[:, None]

  def logits_fn(images):
    return images.reshape(len(images), -1) @ weights

  y, targets = np.nonzero(~np.eye(CLASSES, dtype=bool))
  noise = jax.random.uniform(KEY, (len(y), 6), minval=-0.2, maxval=0.2)
  x = 0.5 * weights.T[y] + noise
  x = x.reshape(-1, 3, 2, 1)
  assert (jnp.argmax(logits_fn(x), axis=1) == y).all()
  return weights, logits_fn, x, jnp.asarray(y), jnp.asarray(targets)


def each_slow(*cases):
  return [
    pytest.param(*(case if isinstance(case, tuple) else [case]), marks=pytest.mark.slow)
    for case in cases
  ]


@functools.cache
def compiled(name, logits_fn, **settings):
  attack = functools.partial(ATTACKS[name], bounds=BOUNDS, **{**SETTINGS[name], **settings})
  return jax.jit(lambda x, y: attack(KEY, logits_fn, x, y))


def predicted(logits_fn, images):
  return np.asarray(jnp.argmax(logits_fn(images), axis=-1))


def test_every_attack_but_the_one_that_chooses_its_own_targets_can_be_aimed():
  assert ATTACKS.keys() - TARGETED == {"apgd_targeted"}
  assert SETTINGS.keys() == set(TARGETED)


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize("name", TARGETED)
def test_an_aimed_attack_reaches_its_targets_within_ball_and_bounds(model, lengths, name):
  _, logits_fn, x, _, targets = model
  x_adv = compiled(name, logits_fn, targeted=True)(x, targets)
  np.testing.assert_array_equal(predicted(logits_fn, x_adv), targets)
  assert x_adv.min() >= BOUNDS[0]
  assert x_adv.max() <= BOUNDS[1]
  settings = SETTINGS[name]
  if "epsilon" in settings and name != "tgsm":
    norm = settings.get("norm", "linf")
    assert (lengths(x_adv - x, norm) <= settings["epsilon"] * (1 + 1e-6)).all()


# TGSM counts its targets from the true class.
@pytest.mark.parametrize(
  "name", ["deepfool", "fgsm", *each_slow(*sorted(set(TARGETED) - {"deepfool", "fgsm", "tgsm"}))]
)
def test_without_the_argument_a_target_counts_as_the_true_class_and_is_fled(model, name):
  _, logits_fn, x, _, targets = model
  fled = compiled(name, logits_fn)(x, targets)
  assert (predicted(logits_fn, fled) != targets).all()


@pytest.mark.parametrize("name", [*NEAREST, "square", "jsma"])
def test_an_image_that_is_classified_as_its_target_already_is_given_back(model, name):
  _, logits_fn, x, y, targets = model
  aims = jnp.where(jnp.arange(len(x)) % 2 == 0, y, targets)
  x_adv = compiled(name, logits_fn, targeted=True)(x, aims)
  np.testing.assert_array_equal(x_adv[::2], x[::2])
  assert (jnp.abs(x_adv - x)[1::2].max(axis=(1, 2, 3)) > 0).all()


DUALS = {"linf": 1, "l2": 2, "l1": np.inf}
EXCESS = {"fab": 1e-2, "deepfool": 2e-2, "fmn": 3e-2, "cw_l2": 5e-2}
WITH_NORMS = [
  *((name, norm) for name in ("fab", "fmn") for norm in DUALS),
  ("deepfool", "linf"),
  ("deepfool", "l2"),
  ("cw_l2", None),
]


@pytest.mark.parametrize(
  ("name", "norm"),
  [("deepfool", "linf"), *each_slow(*(one for one in WITH_NORMS if one != ("deepfool", "linf")))],
)
def test_with_two_classes_a_target_is_as_far_as_its_margin_over_the_dual_norm(lengths, name, norm):
  slope = jax.random.normal(KEY, (6,))
  x = jax.random.uniform(jax.random.key(1), (6, 3, 2, 1), minval=-1.0, maxval=1.0)

  def logits_fn(images):
    score = images.reshape(len(images), -1) @ slope
    return jnp.stack([-score, score], axis=1) / 2

  targets = 1 - jnp.argmax(logits_fn(x), axis=1)
  chosen = {} if norm is None else {"norm": norm}
  x_adv = compiled(name, logits_fn, targeted=True, **chosen)(x, targets)
  np.testing.assert_array_equal(predicted(logits_fn, x_adv), targets)
  norm = norm or "l2"
  margin = np.abs(np.float64(x).reshape(6, 6) @ np.float64(slope))
  excess = lengths(x_adv - x, norm) * np.linalg.norm(slope, DUALS[norm]) / margin - 1
  assert (excess >= -1e-5).all()
  assert (excess <= EXCESS[name] + 1e-4).all(), excess


# DeepFool goes greedily from one boundary to the next, as it does without targets.
EXCESS_OF_SEVERAL = {"fab": 1e-2, "deepfool": 0.2, "fmn": 3e-2, "cw_l2": 1e-2}


@pytest.mark.parametrize("name", ["deepfool", *each_slow("fab", "fmn", "cw_l2")])
def test_behind_two_boundaries_a_target_is_as_far_as_a_quadratic_program_says(model, lengths, name):
  weights, logits_fn, *_ = model
  # Between two classes, so that the way to a third one leads over the boundaries to both.
  between = [
    (i, j, k) for i in range(CLASSES) for j in range(i) for k in range(CLASSES) if k not in (i, j)
  ]
  first, second, targets = jnp.array(between).T
  noise = jax.random.uniform(KEY, (len(between), 6), minval=-0.05, maxval=0.05)
  x = ((weights.T[first] + weights.T[second]) / 4 + noise).reshape(-1, 3, 2, 1)
  norm = {} if name == "cw_l2" else {"norm": "l2"}
  x_adv = compiled(name, logits_fn, targeted=True, **norm)(x, targets)
  np.testing.assert_array_equal(predicted(logits_fn, x_adv), targets)
  wide = np.asarray(weights, np.float64)
  shortest = []
  for image, target in zip(np.float64(x).reshape(-1, 6), np.asarray(targets), strict=True):
    leads = (wide[:, [target]] - np.delete(wide, target, axis=1)).T
    program = minimize(
      lambda d: d @ d,
      leads[0],
      jac=lambda d: 2 * d,
      constraints={
        "type": "ineq",
        "fun": lambda d, leads=leads, image=image: leads @ (image + d),
        "jac": lambda d, leads=leads: leads,
      },
      method="SLSQP",
      options={"ftol": 1e-12},
    )
    shortest.append(program.fun**0.5)
  excess = lengths(x_adv - x, "l2") / shortest - 1
  assert (excess >= -1e-4).all()
  assert (excess <= EXCESS_OF_SEVERAL[name]).all(), excess


@pytest.mark.parametrize("classes", [4, *each_slow(2, 3)])
@pytest.mark.parametrize("attack", [apgd, *each_slow(pgd)])
def test_dlr_has_a_way_to_the_least_likely_class_whatever_the_number_of_classes(attack, classes):
  x = jnp.array([0.7, 0.5, 0.3, 0.2])[:classes].reshape(1, 1, 1, classes)

  def logits_fn(images):
    return images.reshape(1, classes)

  for target in range(1, classes):
    aim = jnp.array([target])
    x_adv = attack(
      KEY, logits_fn, x, aim, epsilon=0.4, steps=4, loss="dlr", targeted=True, random_start=False
    )
    assert predicted(logits_fn, x_adv) == target


def test_what_an_aimed_attack_increases_is_by_hand():
  logits = jnp.array([[4.0, 1.0, 0.0, -2.0], [0.0, 3.0, -1.0, 1.0]])
  y = jnp.array([1, 1])
  towards = get_loss("dlr", targeted=True)
  np.testing.assert_allclose(towards(logits, y), [-3 / 5, 2 / 3.5], rtol=1e-6)
  np.testing.assert_array_equal(towards(logits[:, :3], y), -cw_margin(logits[:, :3], y))
  np.testing.assert_array_equal(
    get_loss("cross_entropy", targeted=True)(logits, y), -cross_entropy(logits, y)
  )
  np.testing.assert_array_equal(get_loss(dlr, targeted=True)(logits, y), towards(logits, y))
  assert get_loss("dlr") is dlr


@pytest.mark.parametrize("value", ["False", 1, None, [True], np.array([True])])
@pytest.mark.parametrize("name", TARGETED)
def test_targeted_that_is_no_truth_value_is_refused(model, name, value):
  _, logits_fn, x, _, targets = model
  settings = SETTINGS[name]
  with pytest.raises(TypeError, match="targeted must be True or False, got"):
    ATTACKS[name](KEY, logits_fn, x, targets, targeted=value, bounds=BOUNDS, **settings)
