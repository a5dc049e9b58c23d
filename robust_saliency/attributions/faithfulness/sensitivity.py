"""Sensitivity: how much a map changes where the image hardly does."""

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.arguments import beyond_bounds, check_arguments, check_inner
from robust_saliency.attributions.gradient import gradient
from robust_saliency.attributions.postprocess import magnitudes
from robust_saliency.core import (
  Attribution,
  Key,
  LogitsFn,
  checks,
  example_keys,
  fold_samples,
  full_precision,
  map_batches,
)
from robust_saliency.core.tracing import wide_dtype, widened


@full_precision
def sensitivity_max(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  attribution: Attribution = gradient,
  radius: float | Array = 0.02,
  samples: int = 10,
  chunk_size: int | None = None,
  unroll: bool | int | None = None,
) -> Array:
  """max_d ||A(x + d) - A(x)||_2 / ||A(x)||_2 over drawn d, uniform in [-radius, radius] each pixel.

  Args:
    key: one PRNG key, or one per example [B].
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, ...]; x + d is not clipped.
    y: the classes to explain, int [B].
    attribution: whose maps are looked at, any `(key, logits_fn, x, y) -> map of x's shape`. What is
      random in it is drawn alike for all maps of an example.
    radius: of the ball, in pixel units (traced; 0.02 in the paper's code and in captum).
    samples: number of draws (static); the maximum over the ball is larger.
    chunk_size: images per call of the attribution (static); None takes one draw of every image at a
      time.
    unroll: see `smoothgrad`.

  Returns:
    [B], >= 0, without a unit; NaN where the map of x is zero everywhere.

  Raises:
    ValueError, TypeError: for bad arguments, in a sentence that names them.

  Source: Yeh et al. 2019, "On the (in)fidelity and sensitivity of explanations", definition 3.1 and
  its estimate by Monte Carlo; relative to the map's norm as in captum.

  >>> x = jnp.ones((1, 1, 1, 2))
  >>> sensitivity_max(jax.random.key(0), lambda x: 3 * x[:, 0, 0], x, jnp.array([0])).tolist()
  [0.0]
  """
  x = check_arguments(logits_fn, x, y)
  check_inner(attribution)
  checks.non_negative(radius=radius)
  checks.scalar(radius=radius)
  checks.unrolled(unroll)
  checks.count(samples=samples)
  axes = tuple(range(1, x.ndim))

  def explain(keys: Array, images: Array, classes: Array) -> Array:
    with beyond_bounds():
      return widened(attribution(keys, logits_fn, images, classes))

  def unit_of(maps: Array) -> Array:
    # The quotient has no scale, but squares of small or large maps would leave float32.
    return jax.lax.stop_gradient(magnitudes(maps))

  def change(numbers: Array, keys: Array, images: Array, classes: Array, maps: Array) -> Array:
    draws = jax.vmap(
      lambda key, number: jax.random.uniform(
        jax.random.fold_in(key, number), images.shape[1:], wide_dtype(x), -1.0, 1.0
      )
    )(keys[:, 1], numbers)
    moved = (images + radius * draws).astype(x.dtype)
    others = explain(keys[:, 0], moved, classes)
    return jnp.sum(((others - maps) / unit_of(maps)) ** 2, axis=axes)

  keys = jax.vmap(jax.random.split)(example_keys(key, x.shape[0]))
  maps = map_batches(lambda *arrays: explain(*arrays), keys[:, 0], x, y, chunk_size=chunk_size)
  if maps.shape != x.shape:
    raise ValueError(f"attribution must give maps of the images' shape {x.shape}, got {maps.shape}")
  largest = fold_samples(
    change,
    keys,
    x,
    y,
    maps,
    samples=samples,
    combine=lambda state, value, _: jnp.maximum(state, value),
    chunk_size=chunk_size,
    unroll=unroll,
  )
  quotients = largest / jnp.sum((maps / unit_of(maps)) ** 2, axis=axes)
  # The root's slope at 0, where no map has changed, is infinite.
  is_zero = quotients == 0
  return jnp.where(is_zero, 0, jnp.sqrt(jnp.where(is_zero, 1, quotients)))
