"""What every attack must refuse, argument by argument; a new attack is in by itself."""

import inspect
import re

import jax
import jax.numpy as jnp
import pytest

from robust_saliency.attacks import ATTACKS

KEY = jax.random.key(0)
X, Y = jnp.full((2, 4, 4, 1), 0.5), jnp.array([0, 1])
NONSENSE = {
  "a list": ["a"],
  "None": None,
  "a word": "abc",
  "a number in words": "0.1",
  "True": True,
  "NaN": float("nan"),
  "two numbers": [0.1, 0.2],
  "a huge number": 1e30,
  "a dict": {"a": 1},
}
# Where a number is asked for, this is one; and a key that is not used may be anything.
ANY_NUMBER = {"epsilon", "step_size", "final_step_size", "theta", "decay", "overshoot", "eta"}
ANY_NUMBER |= {"initial_constant", "learning_rate", "confidence", "start_deviation"}
KEY_NOT_USED = ("deepfool", "fmn", "cw_l2", "jsma")


def logits_fn(x):
  return x.reshape(len(x), 16)[:, :5]


def is_allowed(name, parameter, kind):
  if parameter.name == "key":
    return name in KEY_NOT_USED
  default = parameter.default
  if (name, parameter.name) == ("fab", "targets"):
    return kind == "None"  # all classes at once
  return (
    (kind == "None" and default is None)
    or (kind == "True" and (isinstance(default, bool) or parameter.name == "unroll"))
    or (kind == "a huge number" and parameter.name in ANY_NUMBER)
  )


CASES = [
  (name, parameter, kind)
  for name, one in ATTACKS.items()
  for parameter in inspect.signature(one).parameters.values()
  for kind in NONSENSE
  if not is_allowed(name, parameter, kind)
]


@pytest.mark.parametrize(
  "kinds",
  [("a word", "two numbers"), pytest.param(tuple(NONSENSE), marks=pytest.mark.slow)],
  ids=["some", "all"],
)
@pytest.mark.parametrize("name", ATTACKS)
def test_nonsense_is_refused_in_one_sentence_that_names_the_argument(name, kinds):
  for of, parameter, kind in CASES:
    if of != name or kind not in kinds:
      continue
    arguments = {"key": KEY, "logits_fn": logits_fn, "x": X, "y": Y}
    if "epsilon" in inspect.signature(ATTACKS[name]).parameters:
      arguments["epsilon"] = 0.1
    arguments[parameter.name] = NONSENSE[kind]
    what = f"{name}({parameter.name}={NONSENSE[kind]!r})"
    try:
      # What is given is known while it is traced, and no step is made.
      jax.eval_shape(lambda arguments=arguments: ATTACKS[name](**arguments))
    except (ValueError, TypeError) as error:
      sentence = str(error)
      assert re.search(rf"\b{parameter.name}\b", sentence), f"{what}: {sentence}"
      assert "\n" not in sentence, f"{what}: {sentence}"
      assert len(sentence) < 200, f"{what}: {sentence}"
    else:
      pytest.fail(f"{what} is taken")
