"""Every attack with images, logits and numbers of every dtype; a new attack is in by itself."""

import inspect
import itertools
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from robust_saliency.attacks import ATTACKS, get_attack
from robust_saliency.core import NORMS

# The images' dtype -> those of the logits: the same one, as most models have, and another.
LOGITS = {
  "float16": ("float16", "float32"),
  "bfloat16": ("bfloat16", "float32"),
  "float32": ("float32", "float16", "float64"),
  "float64": ("float64", "float32"),
}
NUMBERS = ("python", "numpy", "traced")
COUNTS = {"steps": 2, "queries": 2, "binary_search_steps": 2, "targets": 2, "candidates": 2}
VALUES = {"theta": 1.0, "step_size": 0.1, "epsilon": 0.2}

WEIGHTS = np.random.default_rng(0).normal(size=(16, 4))
X = np.random.default_rng(1).uniform(0.3, 0.7, (3, 4, 4, 1))
Y = np.array([0, 1, 2])


def norms_of(attack):
  return NORMS if "norm" in inspect.signature(attack).parameters else [None]


def model(dtype):
  weights = WEIGHTS.astype(dtype)
  return lambda x: x.reshape(len(x), -1).astype(dtype) @ weights


CASES = [
  (name, norm, images, logits, number)
  for name, attack in ATTACKS.items()
  for norm in norms_of(attack)
  for images, of_logits in LOGITS.items()
  for logits, number in itertools.product(of_logits, NUMBERS)
]
# Compiling them all would take an hour.
RUN = set(random.Random(0).sample(CASES, len(CASES) // 6))


def bound(name, norm, images, logits, number):
  """A function of the numbers that the attack takes, and the numbers."""
  parameters = inspect.signature(ATTACKS[name]).parameters
  settings = {field: count for field, count in COUNTS.items() if field in parameters}
  settings |= {} if norm is None else {"norm": norm}
  # A compiled loop, whose state must keep its dtypes.
  settings |= {"unroll": False} if "unroll" in parameters else {}
  attack = get_attack({"name": name, **settings})
  numbers = {
    field: VALUES.get(field, parameter.default)
    for field, parameter in parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
    and Array in getattr(parameter.annotation, "__args__", ())
    and VALUES.get(field, parameter.default) is not None
  }
  x = jnp.asarray(X, images)

  def call(numbers):
    return attack(jax.random.key(0), model(logits), x, Y, **numbers)

  if number == "python":
    return call, numbers
  if number == "numpy":
    return call, {field: np.float64(value) for field, value in numbers.items()}
  return jax.vmap(call), {field: jnp.array([value, value]) for field, value in numbers.items()}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_images_keep_their_dtype(case):
  with jax.enable_x64("float64" in case):
    call, numbers = bound(*case)
    try:
      assert jax.eval_shape(lambda: call(numbers)).dtype == case[2]
    except ValueError as error:
      if "norm must be one of" not in str(error):
        raise
      pytest.skip(str(error))
    if case not in RUN:
      return
    x_adv = jax.jit(lambda: call(numbers))()
    assert x_adv.dtype == case[2]
    far = np.asarray(x_adv, np.float64)
    assert np.isfinite(far).all()
    assert ((far >= 0) & (far <= 1)).all()


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("name", ["fgsm", "pgd", "apgd", "fab", "cw_l2"])
def test_half_precision_images_keep_their_dtype_with_a_traced_radius_and_float32_logits(name):
  call, numbers = bound(name, None, "float16", "float32", "traced")
  assert jax.eval_shape(call, numbers).dtype == "float16"


def test_pgd_on_bfloat16_images_reaches_the_closed_form_optimum_of_a_linear_model():
  call, numbers = bound("pgd", "linf", "bfloat16", "bfloat16", "numpy")
  x_adv = np.asarray(call(numbers), np.float64)
  assert np.abs(x_adv - X).max() == pytest.approx(numbers["epsilon"], rel=0.02)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", ["pgd", "mim", "apgd"])
def test_steps_shorter_than_the_rounding_of_half_precision_add_up(name, norm, dtype):
  normal, uniform = jax.random.split(jax.random.key(0))
  weights = jax.random.normal(normal, (784, 2))
  x = jax.random.uniform(uniform, (4, 28, 28, 1), minval=0.5, maxval=0.9).astype(dtype)
  epsilon = {"linf": 0.02, "l2": 0.5}[norm]

  def logits_fn(images):
    return images.astype(jnp.float32).reshape(len(images), -1) @ weights

  steps = {"steps": 60} if name == "apgd" else {"steps": 60, "step_size": epsilon / 20}
  attack = get_attack({"name": name, "norm": norm, "epsilon": epsilon, **steps})
  x_adv = attack(jax.random.key(1), logits_fn, x, jnp.zeros(4, int), loss="cw_margin")
  margins = logits_fn(jnp.concatenate([x_adv, x])) @ jnp.array([-1.0, 1.0])
  gained = margins[:4] - margins[4:]
  dual = {"linf": 1, "l2": 2}[norm]
  most = epsilon * np.linalg.norm(weights[:, 1] - weights[:, 0], dual)
  np.testing.assert_allclose(gained, most, rtol=0.03)
