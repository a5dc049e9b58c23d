"""Expected Gradients: Integrated Gradients over many baselines instead of one."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.arguments import check_arguments, check_inner
from robust_saliency.attributions.gradient import gradient
from robust_saliency.core import (
  Attribution,
  Key,
  LogitsFn,
  checks,
  example_keys,
  fold_samples,
  full_precision,
)
from robust_saliency.core.tracing import wide_dtype, widened


@full_precision
def expected_gradients(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  background: Array | np.ndarray,
  attribution: Attribution = gradient,
  samples: int = 50,
  chunk_size: int | None = None,
  unroll: bool | int | None = None,
) -> Array:
  """E[(x - b) * A(b + a (x - b))] over background images b and places a on the way to the image.

  b is drawn from `background` and a from U(0, 1), anew for every sample.

  Args:
    key: one PRNG key, or one per example [B].
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C].
    y: the classes to explain, int [B].
    background: images [N, H, W, C], e.g. a hundred of the training set.
    attribution: what is averaged; the gradient of the score that is to be explained.
    samples: number of pairs (b, a) per image (static).
    chunk_size: images per call of the attribution (static).
    unroll: see `smoothgrad`.

  Returns:
    Maps [B, H, W, C], signed. For gradients their sum has the expectation
    score(x) - mean over the background of score(b).

  Source: Erion et al. 2021, "Improving performance of deep learning models with axiomatic
  attribution priors and expected gradients", equation 3.

  >>> expected_gradients(jax.random.key(0), lambda x: 3 * x[:, 0, 0], jnp.ones((1, 1, 1, 2)),
  ...                    jnp.array([0]), background=jnp.zeros((5, 1, 1, 2)), samples=4).tolist()
  [[[[3.0, 0.0]]]]
  """
  x = check_arguments(logits_fn, x, y)
  check_inner(attribution)
  checks.images(background, argument="background")
  if background.shape[1:] != x.shape[1:] or not background.shape[0]:
    raise ValueError(
      f"background must hold images of the shape {x.shape[1:]}, got shape {background.shape}"
    )
  background = jnp.asarray(background).astype(x.dtype)

  def one_sample(numbers: Array, keys: Array, images: Array, classes: Array) -> Array:
    background_keys, alpha_keys, map_keys = jax.vmap(_three_keys, out_axes=1)(keys, numbers)
    chosen = jax.vmap(lambda k: jax.random.randint(k, (), 0, len(background)))(background_keys)
    starts = background[chosen]
    alphas = jax.vmap(lambda k: jax.random.uniform(k, [1] * (x.ndim - 1), wide_dtype(x)))(
      alpha_keys
    )
    ways = widened(images) - widened(starts)
    between = (starts + alphas * ways).astype(x.dtype)
    return ways * attribution(map_keys, logits_fn, between, classes)

  total = fold_samples(
    one_sample,
    example_keys(key, x.shape[0]),
    x,
    y,
    samples=samples,
    chunk_size=chunk_size,
    unroll=unroll,
  )
  return (total / samples).astype(x.dtype)


def _three_keys(key: Key, number: Array) -> Array:
  return jax.random.split(jax.random.fold_in(key, number), 3)
