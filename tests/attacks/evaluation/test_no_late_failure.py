"""What could not run is refused before anything has, and what has run is not lost."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import attributions
from robust_saliency.attacks import ATTACKS, autoattack, evaluate_attacks, fgsm, run_attacks, square
from robust_saliency.attacks.registry import bind_attack

KEY = jax.random.key(0)
RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.normal(size=(6, 4)).astype(np.float32)
X = RANDOM.uniform(0.3, 0.7, (12, 2, 3, 1)).astype(np.float32)
TABLE = X.reshape(12, 6)
EPSILON = 0.2
SQUARE = functools.partial(square, epsilon=EPSILON, queries=20)


def linear(x):
  return x.reshape(len(x), -1) @ WEIGHTS


Y = np.argmax(linear(X), axis=1).astype(np.int32)


def noting(calls):
  """An attack that changes nothing and says that it has run."""

  def attack(key, logits_fn, x, y):
    return jax.pure_callback(lambda x: (calls.append("ran"), x)[1], x, x, vmap_method="sequential")

  return attack


CANNOT = {
  "square on a table": (SQUARE, r"x must have shape \[batch, height, width, channels\]"),
  "a number that is none": (functools.partial(fgsm, epsilon=-1.0), "epsilon must be >= 0"),
  "a setting that is missing": (fgsm, "missing 1 required keyword-only argument: 'epsilon'"),
  "another shape": (
    lambda key, logits_fn, x, y: x[:, :1],
    r"must return images of x's shape \(12,",
  ),
  "no array": (lambda key, logits_fn, x, y: (x, y), r"must return images of x's shape \(12,"),
}


@pytest.mark.parametrize("case", CANNOT)
def test_an_attack_that_cannot_run_is_refused_before_the_first_one_runs(case, tmp_path):
  attack, sentence = CANNOT[case]
  x = TABLE if "table" in case else X
  calls = []
  arguments = {"epsilon": EPSILON, "workdir": tmp_path / "new"}
  for run, last in (
    (run_attacks, attack),
    (evaluate_attacks, attack),
    (evaluate_attacks, {"wrong": attack}),
  ):
    attacks = {"first": noting(calls), "wrong": last}
    with pytest.raises((ValueError, TypeError), match=f"^attack 'wrong': .*{sentence}"):
      run(KEY, linear, x, Y, attacks=attacks, **arguments)
  assert calls == []
  assert not (tmp_path / "new").exists()


def test_an_attack_that_cannot_run_is_refused_even_where_no_image_is_right():
  for run in (run_attacks, evaluate_attacks):
    with pytest.raises(ValueError, match="attack 'wrong': epsilon must be >= 0"):
      run(
        KEY,
        linear,
        X,
        (Y + 1) % 4,
        attacks={"wrong": functools.partial(fgsm, epsilon=-1.0)},
        epsilon=EPSILON,
      )


def test_autoattack_refuses_a_table_before_its_first_member_runs(tmp_path):
  with pytest.raises(ValueError, match=r"attack 'square': x must have shape \[batch, height"):
    autoattack(KEY, linear, TABLE, Y, epsilon=EPSILON, steps=2, workdir=tmp_path / "new")
  assert not (tmp_path / "new").exists()


def on_the_host(x):
  shape = jax.ShapeDtypeStruct((len(x), 4), np.float32)
  return jax.pure_callback(
    lambda x: np.asarray(x).reshape(len(x), -1) @ WEIGHTS, shape, x, vmap_method="sequential"
  )


def votes(x):
  return jnp.round(40 * linear(x)).astype(jnp.int32)


def one_vote(x):
  logits = linear(x)
  return logits == jnp.max(logits, axis=1, keepdims=True)


def as_floats(network):
  return lambda x: network(x).astype(jnp.float32)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize(
  ("network", "probed"), [(on_the_host, 5), (votes, 5), (one_vote, 0)], ids=["host", "int", "bool"]
)
def test_a_network_without_a_gradient_keeps_its_verdicts_and_is_said_to_have_none(network, probed):
  settings = {"attacks": {"square": SQUARE}, "epsilon": EPSILON}
  found = evaluate_attacks(KEY, network, X, Y, probed=probed, **settings)
  assert set(found.warnings) == {"no_gradient"}
  assert "have no gradient that JAX could take" in found.warnings["no_gradient"][0]
  twin = linear if network is on_the_host else as_floats(network)
  expected = run_attacks(KEY, twin, X, Y, **settings)
  assert 0 < expected.accuracy < 1
  np.testing.assert_array_equal(found.robust, expected.robust)
  np.testing.assert_array_equal(found.arrays["square/x_adv"], expected.x_adv)


def test_an_attack_by_forward_mode_keeps_its_verdicts_uncounted():
  def forward(key, logits_fn, x, y):
    def loss(x):
      return -jnp.take_along_axis(logits_fn(x), y[:, None], 1).sum()

    return x + EPSILON * jnp.sign(jax.jacfwd(loss)(x))

  settings = {"attacks": {"forward": forward, "fgsm": functools.partial(fgsm, epsilon=EPSILON)}}
  found = evaluate_attacks(KEY, linear, X, Y, epsilon=EPSILON, probed=0, **settings)
  rows = {row[0]: row[-2:] for row in found.table}
  assert rows["forward"] == ["", ""]
  assert rows["fgsm"] == [1, 1]


FREE = {"square": {"queries": 20}}


@pytest.mark.parametrize("name", ATTACKS)
def test_whole_numbers_are_attacked_without_gradients_and_refused_by_name_with_them(name):
  settings = {"name": name, **FREE.get(name, {})}
  attack = bind_attack(settings, bounds=(0.0, 1.0), epsilon=EPSILON)
  if name in FREE:
    np.testing.assert_array_equal(attack(KEY, votes, X, Y), attack(KEY, as_floats(votes), X, Y))
    return
  for network, kind in ((votes, "int32"), (one_vote, "bool")):
    with pytest.raises(TypeError, match=f"^logits_fn must give floating-point logits, got {kind}$"):
      attack(KEY, network, X, Y)


OF_PERTURBATIONS = {
  "occlusion": {"window": 1, "stride": 1},
  "feature_ablation": {"segments": np.arange(6).reshape(2, 3)},
  "rise": {"samples": 20, "cells": 2},
  "lime": {"samples": 20, "segments": np.arange(6).reshape(2, 3)},
}


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize("name", attributions.ATTRIBUTIONS)
def test_whole_numbers_are_explained_by_perturbations_alone(name):
  attribution = functools.partial(attributions.ATTRIBUTIONS[name], **OF_PERTURBATIONS.get(name, {}))
  if name in OF_PERTURBATIONS:
    maps = attribution(KEY, one_vote, X, Y)
    np.testing.assert_array_equal(maps, attribution(KEY, as_floats(one_vote), X, Y))
    assert np.abs(maps).max() > 0
    return
  for network, kind in ((votes, "int32"), (one_vote, "bool")):
    with pytest.raises(TypeError, match=f"^logits_fn must give floating-point logits, got {kind}$"):
      attribution(KEY, network, X, Y)
