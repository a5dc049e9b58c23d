"""Every attribution with images, logits and numbers of every dtype; a new one is in by itself."""

import functools
import inspect
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

from robust_saliency.attributions import (
  ATTRIBUTIONS,
  expected_gradients,
  integrated_gradients,
  lime,
  rise,
  smoothgrad,
  smoothgrad_squared,
)

LOGITS = {
  "float16": ("float16", "float32"),
  "bfloat16": ("bfloat16", "float32"),
  "float32": ("float32", "float16", "float64"),
  "float64": ("float64", "float32"),
}
NUMBERS = ("python", "numpy", "traced")
KEY = jax.random.key(0)
X = np.random.default_rng(1).uniform(0.4, 0.6, (2, 8, 8, 1))
WEIGHTS = np.random.default_rng(0).normal(size=(64, 3))
Y = np.array([0, 2])

ALL = {
  **ATTRIBUTIONS,
  "expected_gradients": functools.partial(expected_gradients, background=X[::-1] / 2),
}
CASES = [
  (name, images, logits, number)
  for name in ALL
  for images, of_logits in LOGITS.items()
  for logits, number in itertools.product(of_logits, NUMBERS)
]


def linear(dtype):
  """Linear on positive images, with a ReLU for those attributions that ask for one."""
  weights = WEIGHTS.astype(dtype)

  def logits_fn(x):
    # After weights, since a clamp of the images is no ReLU.
    maps = jax.nn.relu(x @ jnp.eye(1, dtype=x.dtype))
    return maps.reshape(len(x), -1).astype(dtype) @ weights

  return logits_fn


def bound(name, images, logits, samples):
  """A function of the numbers that the attribution takes, and the numbers."""
  parameters = inspect.signature(ALL[name]).parameters
  settings = {"samples": samples} if "samples" in parameters else {}
  # A compiled loop, whose state must keep its dtypes.
  settings |= {"unroll": False} if "unroll" in parameters else {}
  numbers = {
    field: 0.05 if field == "noise_level" else parameter.default
    for field, parameter in parameters.items()
    if isinstance(parameter.default, float)
    and Array in getattr(parameter.annotation, "__args__", ())
  }
  x = jnp.asarray(X, images)
  return lambda numbers: ALL[name](KEY, linear(logits), x, Y, **settings, **numbers), numbers


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(case))
def test_maps_have_the_images_dtype(case):
  name, images, logits, number = case
  with jax.enable_x64("float64" in case):
    call, numbers = bound(name, images, logits, samples=3)
    if number == "numpy":
      numbers = {field: np.float64(value) for field, value in numbers.items()}
    if number == "traced":
      if not numbers:
        pytest.skip("takes no numbers")
      call = jax.vmap(call)
      numbers = {field: jnp.array([value, value]) for field, value in numbers.items()}
    assert jax.eval_shape(lambda: call(numbers)).dtype == images


@pytest.mark.slow
@pytest.mark.parametrize("images", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", ALL)
def test_in_half_precision_maps_are_those_of_float32(name, images):
  calls = (bound(name, dtype, "float32", samples=1000) for dtype in (images, "float32"))
  half, full = (np.asarray(jax.jit(call)(numbers), np.float64) for call, numbers in calls)
  assert np.isfinite(full).all()
  np.testing.assert_allclose(half, full, rtol=0, atol=0.02 * np.abs(full).max())


QUARTERS = np.repeat(np.repeat(np.arange(4).reshape(2, 2), 4, axis=0), 4, axis=1)
GREY = np.full((1, 8, 8, 1), 0.5, np.float32)


def sum_of(power, factor=1.0):
  def logits_fn(x):
    total = factor * jnp.sum(x**power, axis=(1, 2, 3))
    return jnp.stack([total, 0 * total], axis=1)

  return logits_fn


@pytest.mark.quick_cases(3)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
  ("explain", "logits_fn", "expected"),
  [
    pytest.param(functools.partial(smoothgrad, samples=1000), sum_of(1, 3.0), 3.0, id="smoothgrad"),
    pytest.param(
      functools.partial(smoothgrad_squared, samples=1000), sum_of(1, 3.0), 9.0, id="squared"
    ),
    pytest.param(functools.partial(rise, samples=1000), sum_of(1, 0.0), 0.5, id="rise"),
    pytest.param(
      functools.partial(integrated_gradients, steps=200, rule="midpoint"), sum_of(2), 0.25, id="ig"
    ),
    pytest.param(
      functools.partial(expected_gradients, samples=1000, background=0 * GREY),
      sum_of(1, 3.0),
      1.5,
      id="eg",
    ),
    pytest.param(
      functools.partial(lime, score="logit", alpha=0.0, fill=0.0, segments=QUARTERS),
      sum_of(1, 0.25),
      2.0,
      id="lime",
    ),
  ],
)
def test_a_thousand_samples_in_half_precision_reach_the_known_answer(
  explain, logits_fn, expected, dtype
):
  maps = jax.jit(explain, static_argnums=1)(KEY, logits_fn, jnp.asarray(GREY, dtype), np.array([0]))
  assert maps.dtype == dtype
  # The mean, since RISE's masks are random at each pixel.
  assert float(np.mean(np.asarray(maps, np.float64))) == pytest.approx(expected, rel=0.02)
