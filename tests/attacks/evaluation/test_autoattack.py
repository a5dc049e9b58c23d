"""AutoAttack: its versions, what it finds, and few classes."""

import functools
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks import autoattack, autoattack_members, run_attacks

KEY = jax.random.key(0)
N = 24


def linear(classes):
  """(logits_fn, weights [6, K], x, y); the last three are misclassified from the start."""
  random = np.random.default_rng(classes)
  weights = random.normal(size=(6, classes)).astype(np.float32)
  x = random.uniform(0.3, 0.7, (N, 2, 3, 1)).astype(np.float32)
  y = np.argmax(x.reshape(N, 6) @ weights, axis=1).astype(np.int32)
  y[-3:] = (y[-3:] + 1) % classes
  return (lambda images: images.reshape(len(images), -1) @ weights), weights, x, y


@pytest.mark.parametrize(
  ("version", "names"),
  [
    ("standard", ["apgd-ce", "apgd-t", "fab-t", "square"]),
    ("plus", ["apgd-ce-5", "apgd-dlr-5", "fab-5", "square", "apgd-t", "fab-t"]),
  ],
)
@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_the_versions_are_the_papers(version, names, norm):
  members = autoattack_members(10, epsilon=0.1, norm=norm, version=version)
  assert list(members) == names
  for name, attack in members.items():
    settings = attack.keywords
    assert (settings["epsilon"], settings["norm"]) == (0.1, norm)
    assert settings.get("restarts", 1) == (5 if name.endswith("-5") else 1)
    if name == "square":
      assert settings["queries"] == 5000
    else:
      assert settings["steps"] == 100
      expected = {"apgd-t": 9, "fab-t": 9, "fab-5": None}.get(name, "none")
      assert settings.get("targets", "none") == expected
  assert members[names[0]].keywords.get("loss", "cross_entropy") == "cross_entropy"


def radii(weights, x, y, norm):
  """How far from each image the nearest misclassified one lies; negative where it is itself."""
  dual = {"linf": 1, "l2": 2, "l1": np.inf}[norm]
  logits = x.reshape(N, 6).astype(float) @ weights
  gaps = logits[np.arange(N), y][:, None] - logits
  slopes = np.linalg.norm(weights.T[y][:, None].astype(float) - weights.T[None], dual, axis=-1)
  others = np.arange(weights.shape[1]) != y[:, None]
  return np.min(np.where(others, gaps / np.where(others, slopes, 1), np.inf), axis=1)


def decide(classes, norm, **settings):
  """Attacks half of a linear model's examples within reach, and holds the result to theory."""
  logits_fn, weights, x, y = linear(classes)
  distances = radii(weights, x, y, norm)
  epsilon = float(np.mean(np.sort(distances)[[N // 2, N // 2 + 1]]))
  assert 0 < epsilon < 2, "the bounds do not matter"
  settings = {"epsilon": epsilon, "norm": norm, "bounds": (-2.0, 3.0)} | settings
  x_adv = autoattack(KEY, logits_fn, x, y, **settings)
  stands = distances > epsilon
  np.testing.assert_array_equal(np.argmax(logits_fn(x_adv), axis=1) == y, stands)
  untouched = stands | (distances < 0)
  np.testing.assert_array_equal(x_adv[untouched], x[untouched])
  power = {"linf": np.inf, "l2": 2, "l1": 1}[norm]
  lengths = np.linalg.norm((np.float64(x_adv) - x).reshape(N, -1), power, axis=1)
  assert (lengths <= epsilon * (1 + 1e-6) + 1e-5).all()


@pytest.mark.parametrize(
  "norm",
  ["linf", pytest.param("l2", marks=pytest.mark.slow), pytest.param("l1", marks=pytest.mark.slow)],
)
def test_it_decides_a_linear_model_as_the_closed_form_does(norm):
  decide(5, norm, steps=20, queries=50)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_so_does_the_longer_version(classes):
  decide(classes, "linf", version="plus", steps=20, queries=50)


@pytest.mark.slow
def test_a_randomised_model_is_attacked_by_its_mean():
  """Noise that sums to zero leaves the closed form of a linear model as it is."""
  logits_fn, weights, x, y = linear(3)
  distances = radii(weights, x, y, "linf")
  epsilon = float(np.mean(np.sort(distances)[[N // 2, N // 2 + 1]]))

  def noisy(keys, images):
    logits = logits_fn(images)
    noise = jax.vmap(lambda key: jax.random.rademacher(key, (), logits.dtype))(keys)
    return logits * (1 + 0.5 * noise[:, None])

  settings = {"version": "rand", "steps": 20, "samples": 12, "bounds": (-2.0, 3.0)}
  x_adv = autoattack(KEY, noisy, x, y, epsilon=epsilon, **settings)
  broken = np.argmax(logits_fn(x_adv), axis=1) != y
  np.testing.assert_array_equal(broken, distances <= epsilon)
  assert np.abs(np.float64(x_adv) - x).max() <= epsilon + 1e-6


@pytest.mark.slow
def test_the_images_are_those_of_the_attacks_in_turn():
  logits_fn, _, x, y = linear(5)
  settings = {"epsilon": 0.1, "steps": 1, "queries": 1}
  members = autoattack_members(5, **settings)
  verdicts = run_attacks(KEY, logits_fn, x[-6:], y[-6:], attacks=members, epsilon=0.1)
  x_adv = autoattack(KEY, functools.partial(logits_fn), x[-6:], y[-6:], **settings)
  np.testing.assert_array_equal(x_adv, verdicts.x_adv)


def test_few_classes_leave_out_the_losses_that_they_do_not_have():
  for classes in (2, 3):
    assert list(autoattack_members(classes, epsilon=0.1))[1] == "apgd-margin"
  names = list(autoattack_members(2, epsilon=0.1, version="plus"))
  assert names == ["apgd-ce-5", "apgd-margin-5", "fab-5", "square", "apgd-margin", "fab-t"]
  assert list(autoattack_members(3, epsilon=0.1, version="plus"))[1] == "apgd-dlr-5"


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 3])
def test_few_classes_are_decided_with_a_warning(caplog, classes):
  with caplog.at_level(logging.WARNING):
    decide(classes, "linf", steps=20, queries=50)
  assert f"AutoAttack: with {classes} classes there is no" in caplog.text


@pytest.mark.parametrize(
  ("change", "words"),
  [
    ({"version": "standart"}, r"version must be one of .*mean 'standard'"),
    ({"norm": "l0"}, r"norm must be one of linf, l2, l1; got 'l0'"),
    ({"epsilon": -1.0}, "epsilon must be >= 0, got -1.0"),
    ({"steps": 0}, "steps must be >= 1"),
    ({"queries": 0}, "queries must be >= 1"),
    ({"targets": 0}, "targets must be >= 1"),
  ],
)
def test_bad_arguments_are_named(change, words):
  logits_fn, _, x, y = linear(4)
  with pytest.raises(ValueError, match=words):
    autoattack(KEY, logits_fn, x, y, **{"epsilon": 0.1} | change)


def test_it_cannot_be_traced():
  logits_fn, _, x, y = linear(4)
  with pytest.raises(TypeError, match="run on the host and cannot be traced"):
    jax.jit(lambda x: autoattack(KEY, logits_fn, x, y, epsilon=0.1))(jnp.asarray(x))


def test_no_images_are_refused_before_a_key_is_drawn():
  with pytest.raises(ValueError, match="images must be >= 1, got 0"):
    autoattack(
      KEY,
      lambda x: x.reshape(-1, 4),
      jnp.zeros((0, 2, 2, 1)),
      jnp.zeros(0, int),
      epsilon=0.1,
      version="rand",
    )
