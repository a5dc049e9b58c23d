"""What a run of attacks is recognised by."""

import dataclasses
import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from robust_saliency.attacks import ascending, cross_entropy, pgd
from robust_saliency.attacks.evaluation.identity import describe, differences
from robust_saliency.core import L2


def closing_over(number):
  return lambda key, logits_fn, x, y: x + number


def by_default(number):
  def attack(key, logits_fn, x, y, *, epsilon=number):
    return x + epsilon

  return attack


def decorated(number):
  def attack(key, logits_fn, x, y):
    return x

  @functools.wraps(attack)
  def shifted(*args):
    return attack(*args) + number

  return shifted


def of_the_file(number, name="EPSILON"):
  """A function of a file of its own, in which a constant has this value."""
  namespace = {"__name__": "a_file"}
  exec(f"{name} = {number}\ndef attack(key, logits_fn, x, y):\n  return x + {name}\n", namespace)
  return namespace["attack"]


class Shift:
  def __init__(self, epsilon):
    self.epsilon = epsilon

  def __call__(self, key, logits_fn, x, y):
    return x + self.epsilon

  def attack(self, key, logits_fn, x, y):
    return self(key, logits_fn, x, y)


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
  epsilon: float


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
    (by_default(0.1), by_default(0.2)),
    (jax.jit(closing_over(0.1)), jax.jit(closing_over(0.2))),
    (decorated(0.1), decorated(0.2)),
    (Shift(0.1), Shift(0.2)),
    (Shift(0.1).attack, Shift(0.2).attack),
    (functools.partial(pgd, loss=Shift(0.1)), functools.partial(pgd, loss=Shift(0.2))),
    (closing_over(Shift(0.1)), closing_over(Shift(0.2))),
    (closing_over(Slotted(0.1)), closing_over(Slotted(0.2))),
    (ascending(optax.adam(0.01)), ascending(optax.adam(0.1))),
    (of_the_file(0.1), of_the_file(0.2)),
    (
      closing_over(closing_over(closing_over(closing_over(closing_over(0.1))))),
      closing_over(closing_over(closing_over(closing_over(closing_over(0.2))))),
    ),
  ],
  ids=[
    "number",
    "array",
    "constant",
    "call",
    "key",
    "argument",
    "default",
    "jit",
    "decorated",
    "object",
    "method",
    "object as argument",
    "object closed over",
    "slots",
    "optimiser",
    "global",
    "deep",
  ],
)
def test_whatever_changes_an_attack_changes_its_description(one, another):
  assert describe(one) != describe(another)
  assert describe(one) == describe(one)


@pytest.mark.parametrize(
  "make",
  [
    closing_over,
    by_default,
    of_the_file,
    Shift,
    lambda number: Shift(number).attack,
    lambda number: jax.jit(closing_over(number)),
    lambda number: ascending(optax.adam(number)),
  ],
)
def test_the_same_function_made_twice_has_one_description(make):
  description = json.loads(json.dumps(describe(make(0.1))))
  assert description == describe(make(0.1))
  assert "0x" not in json.dumps(description)


def test_objects_that_hold_one_another_have_a_description():
  one, other = Shift(0.1), Shift(0.2)
  one.other, other.other = other, one
  assert describe(one)["holds"]["other"]["holds"]["other"] == {"again": 0}


def test_what_many_hold_is_described_once():
  held = Shift(0.1)
  for _ in range(50):
    held = closing_over((held, held))
  assert len(json.dumps(describe(held))) < 50_000


def test_modules_and_dictionaries_of_a_file_are_not_gone_through():
  namespace = {"__name__": "a_file", "np": np, "everything": globals()}
  exec("def attack(key, logits_fn, x, y):\n  return np.sign(x) * everything['a']\n", namespace)
  assert "names" not in describe(namespace["attack"])
  assert describe(closing_over(np))["closes over"] == {"number": "numpy"}


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
