"""The gradient of a score with respect to the image, and its product with the image."""

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.arguments import check_arguments
from robust_saliency.attributions.registry import attribution
from robust_saliency.attributions.scores import Score, get_score
from robust_saliency.core import Key, LogitsFn, full_precision, map_batches


@attribution(signed=True)
@full_precision
def gradient(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  score: str | Score = "logit",
  chunk_size: int | None = None,
) -> Array:
  """d score(logits(x), y) / dx.

  Args:
    key: not used; there so that the gradient is an attribution like any other.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C], in any units.
    y: the classes to explain, int [B].
    score: a name of `SCORES` ("logit", "probability", "log_probability", "cross_entropy",
      "uniform_cross_entropy", "margin"), or any `(logits, y) -> [B]`.
    chunk_size: images per model call (static); None for all of them.

  Returns:
    Maps [B, H, W, C], signed. (captum's `Saliency` takes the absolute value by default.)

  Source: Simonyan et al. 2014, "Deep inside convolutional networks", section 3.

  >>> import jax.numpy as jnp
  >>> gradient(jax.random.key(0), lambda x: 3 * x[:, 0, 0], jnp.ones((1, 1, 1, 2)),
  ...          jnp.array([0])).tolist()
  [[[[3.0, 0.0]]]]
  """
  del key
  x = check_arguments(logits_fn, x, y)
  score_function = get_score(score)

  def total(images: Array, classes: Array) -> Array:
    # Summed over the batch, since examples are independent: one backward pass for all.
    return jnp.sum(score_function(logits_fn(images), classes))

  return map_batches(jax.grad(total), x, y, chunk_size=chunk_size)


@attribution(signed=True)
def gradient_x_input(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  score: str | Score = "logit",
  chunk_size: int | None = None,
) -> Array:
  """x * d score / dx, in the units in which x is given.

  Args:
    key: not used.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C]; where 0 lies decides the map, so say which scale you use (Kim et al.
      use [-1, 1]).
    y: the classes to explain, int [B].
    score: as in `gradient`.
    chunk_size: as in `gradient`.

  Returns:
    Maps [B, H, W, C], signed.

  Source: Shrikumar et al. 2016, "Not just a black box"; Kim et al. 2019, section 3.

  >>> import jax.numpy as jnp
  >>> gradient_x_input(jax.random.key(0), lambda x: 3 * x[:, 0, 0], jnp.full((1, 1, 1, 2), 0.5),
  ...                  jnp.array([0])).tolist()
  [[[[1.5, 0.0]]]]
  """
  return x * gradient(key, logits_fn, x, y, score=score, chunk_size=chunk_size)
