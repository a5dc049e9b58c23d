"""Every attribution where JAX mixes neither dtypes nor ranks; a new one is in by itself."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attributions import ATTRIBUTIONS, expected_gradients, lime, rise, smoothgrad

KEY = jax.random.key(0)
X = jnp.asarray(np.random.default_rng(1).uniform(size=(2, 8, 8, 2)), jnp.float32)
Y = jnp.array([0, 2])
ALL = {
  **ATTRIBUTIONS,
  "expected_gradients": functools.partial(expected_gradients, background=X),
  "lime with other settings": functools.partial(
    lime, fill=0.5, distance="l2", selection="forward_selection", max_features=3, score="logit"
  ),
  "rise of the logit": functools.partial(rise, score="cross_entropy"),
  "smoothgrad of integrated gradients": functools.partial(
    smoothgrad,
    attribution=functools.partial(ATTRIBUTIONS["integrated_gradients"], steps=2),
  ),
}


def network(x):
  maps = jax.nn.relu(x @ jnp.ones((2, 2)))
  return maps.reshape(x.shape[0], -1) @ jnp.ones((128, 3))


# With the loop and its chunks compiled, and, where there is a loop, unrolled.
CASES = [
  (name, unroll)
  for name, method in ALL.items()
  for unroll in (False, True)
  if not unroll or "unroll" in inspect.signature(method).parameters
]


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize(("name", "unroll"), CASES)
def test_it_mixes_neither_dtypes_nor_ranks(name, unroll):
  method = ALL[name]
  few = {"unroll": unroll, "samples": 3, "steps": 3, "chunk_size": None if unroll else 4}
  taken = inspect.signature(method).parameters
  settings = {setting: value for setting, value in few.items() if setting in taken}
  with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
    maps = jax.eval_shape(lambda x, y: method(KEY, network, x, y, **settings), X, Y)
  assert maps.shape == X.shape
