"""Whatever takes logits or gradients of half precision counts in float32.

The oracle is the same numbers in float32, which hold each half exactly.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import attacks, attributions
from robust_saliency.attacks import distances
from robust_saliency.attributions.faithfulness.removal import importance_ranks
from robust_saliency.models.batch_norm import BatchNorm
from robust_saliency.objectives import input_gradient_penalty
from robust_saliency.objectives.cross_entropy import cross_entropy_of_logits

HALVES = ("float16", "bfloat16")
OF_LOGITS = {
  **{f"score {name}": function for name, function in attributions.SCORES.items()},
  **{f"loss {name}": function for name, function in attacks.LOSSES.items()},
  "objective": cross_entropy_of_logits,
}


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", OF_LOGITS)
def test_functions_of_logits(name, dtype):
  logits, y = jnp.array([[10, 0, 0, 1], [3.5, 0.25, 2, 0]], dtype), jnp.array([0, 2])
  exact = OF_LOGITS[name](logits.astype("float32"), y)
  np.testing.assert_allclose(OF_LOGITS[name](logits, y).astype("float32"), exact, rtol=1e-5)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("dtype", HALVES)
def test_a_penalty_on_gradients_whose_squares_would_be_zero(dtype):
  x, y = jnp.full((2, 3, 3, 1), 0.5, dtype), jnp.array([0, 1])
  weights = jnp.linspace(-1e-4, 1e-4, 18).reshape(9, 2)

  def logits_fn(x):
    return x.reshape(2, 9) @ weights.astype(x.dtype)

  found = input_gradient_penalty(logits_fn, x, y)
  exact = input_gradient_penalty(logits_fn, x.astype("float32"), y)
  assert (exact > 0).all()
  np.testing.assert_allclose(found, exact, rtol=0.02)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("dtype", HALVES)
def test_batch_norm_over_more_positions_than_half_precision_can_count(dtype):
  x = jax.random.normal(jax.random.key(0), (128, 28, 28, 2), dtype) + 1
  norm = BatchNorm()
  variables = norm.init(jax.random.key(0), x, train=False)
  y, _ = norm.apply(variables, x, train=True, mutable=["batch_stats"])
  exact = np.asarray(x, np.float64)
  exact = (exact - exact.mean((0, 1, 2))) / np.sqrt(exact.var((0, 1, 2)) + norm.epsilon)
  assert y.dtype == dtype
  np.testing.assert_allclose(y.astype("float32"), exact, atol=0.02)


@pytest.mark.slow
def test_images_and_maps_of_whole_numbers():
  x = jnp.array([[10, 5]], jnp.uint8).reshape(1, 1, 2, 1)
  assert distances("linf", x, x[:, :, ::-1], jnp.array([True])).tolist() == [5]
  maps = jnp.array([[3, 1, 2]])
  assert importance_ranks(jax.random.key(0), maps).tolist() == [[0, 2, 1]]
