"""What a run of attacks is recognised by."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks import cross_entropy, pgd
from robust_saliency.attacks.evaluation.identity import describe, differences
from robust_saliency.core import L2


def closing_over(number):
  return lambda key, logits_fn, x, y: x + number


def test_settings_are_plain_json():
  attack = functools.partial(pgd, epsilon=jnp.float32(0.5), norm=L2, loss=cross_entropy, steps=3)
  description = json.loads(json.dumps(describe(attack)))
  assert description == {
    "function": "robust_saliency.attacks.pgd.pgd",
    "epsilon": 0.5,
    "norm": "l2",
    "loss": {"function": "robust_saliency.core.losses.cross_entropy"},
    "steps": 3,
  }


@pytest.mark.parametrize(
  ("one", "another"),
  [
    (closing_over(0.1), closing_over(0.2)),
    (closing_over(np.zeros(3)), closing_over(np.ones(3))),
    (lambda key, logits_fn, x, y: x + 1, lambda key, logits_fn, x, y: x + 2),
    (lambda key, logits_fn, x, y: jnp.sin(x), lambda key, logits_fn, x, y: jnp.cos(x)),
    (jax.random.key(0), jax.random.key(1)),
    (functools.partial(closing_over(0.1), 1), functools.partial(closing_over(0.1), 2)),
  ],
  ids=["number", "array", "constant", "call", "key", "argument"],
)
def test_whatever_changes_an_attack_changes_its_description(one, another):
  assert describe(one) != describe(another)
  assert describe(one) == describe(one)


def test_the_same_function_made_twice_has_one_description():
  assert describe(closing_over(0.1)) == describe(closing_over(0.1))


def test_objects_are_described_without_their_addresses():
  assert describe(object()) == "<object object>"


@pytest.mark.parametrize(
  ("known", "given", "same"),
  [
    ([[1.0, 2.0]], [[1.0, 2.0001]], True),
    ([[1.0, 2.0]], [[1.0, 2.001]], False),
    ([[1.0, 2.0]], [[1.0, 2.0, 3.0]], False),
    ([[None, 2.0]], [[float("nan"), 2.0]], True),
    (None, None, True),
    (None, [[1.0]], False),
  ],
)
def test_logits_may_differ_by_rounding(known, given, same):
  words = differences({"logits": known}, {"logits": given})
  assert words == ([] if same else ["the network's logits"])
