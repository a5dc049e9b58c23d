"""Path methods: the gradient along a path from a baseline to the image."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.arguments import baseline_images, check_arguments, check_maps
from robust_saliency.attributions.registry import attribution
from robust_saliency.attributions.scores import Score, get_score
from robust_saliency.core import (
  Key,
  LogitsFn,
  checks,
  fold_samples,
  full_precision,
)
from robust_saliency.core.per_example import per_example
from robust_saliency.core.tracing import wide_dtype, widened

RULES = ("midpoint", "left", "right", "trapezoid", "gauss_legendre")


@attribution(signed=True)
@full_precision
def integrated_gradients(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  baseline: Array | float = 0.0,
  steps: int = 50,
  rule: str = "gauss_legendre",
  score: str | Score = "logit",
  chunk_size: int | None = None,
  unroll: bool | int | None = None,
) -> Array:
  """(x - b) * the mean gradient on the straight line from the baseline b to x.

  Args:
    key: not used; there so that this is an attribution like any other.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C].
    y: the classes to explain, int [B].
    baseline: where the line starts: a number, one image or one per example; anything that
      broadcasts to x.
    steps: number of points on the line (static).
    rule: how the integral is approximated: "gauss_legendre" (exact for polynomials of degree
      2 steps - 1; captum's default), or Riemann sums "midpoint", "left", "right", "trapezoid".
    score: as in `gradient`.
    chunk_size: images per model call (static).
    unroll: see `smoothgrad`.

  Returns:
    Maps [B, H, W, C], signed; they sum to score(x) - score(baseline), see `completeness_error`.

  Source: Sundararajan et al. 2017, "Axiomatic attribution for deep networks", equations 1 and 3.

  >>> integrated_gradients(jax.random.key(0), lambda x: x[:, 0, 0] ** 2,
  ...                      jnp.full((1, 1, 1, 2), 3.0), jnp.array([0]), steps=2).tolist()
  [[[[9.0, 0.0]]]]
  """
  x = check_arguments(logits_fn, x, y)
  checks.count(steps=steps)
  checks.one_of(rule, RULES, argument="rule")
  if rule == "trapezoid":
    checks.count(2, steps=steps)
  points, weights = (jnp.asarray(values, wide_dtype(x)) for values in _quadrature(rule, steps))
  score_function = get_score(score)
  start = baseline_images(baseline, x)

  def weighted_gradient(numbers: Array, start: Array, end: Array, classes: Array) -> Array:
    alphas = per_example(points[numbers], x)
    images = (start + alphas * (end - start)).astype(x.dtype)
    slopes = jax.grad(lambda images: jnp.sum(score_function(logits_fn(images), classes)))(images)
    return weights[numbers].reshape(alphas.shape) * slopes

  mean_gradient = fold_samples(
    weighted_gradient,
    start,
    x,
    y,
    samples=steps,
    chunk_size=chunk_size,
    unroll=unroll,
  )
  return ((x - start) * mean_gradient).astype(x.dtype)


@full_precision
def completeness_error(
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  maps: Array,
  *,
  baseline: Array | float = 0.0,
  score: str | Score = "logit",
) -> Array:
  """How far maps are from adding up: sum(map) - (score(x) - score(baseline)), per example.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C].
    y: the explained classes, int [B].
    maps: attributions [B, H, W, C] of that score at x relative to `baseline`.
    baseline: as in `integrated_gradients`.
    score: as in `gradient`.

  Returns:
    Signed errors [B], in the score's units; 0 for a complete attribution.

  Source: Sundararajan et al. 2017, proposition 1.

  >>> x = jnp.full((1, 1, 1, 2), 3.0)
  >>> completeness_error(lambda x: x[:, 0, 0] ** 2, x, jnp.array([0]), 0 * x).tolist()
  [-9.0]
  """
  x = check_arguments(logits_fn, x, y)
  maps = check_maps(maps, x)
  score_function, start = get_score(score), baseline_images(baseline, x)
  explained, of_baseline = (widened(score_function(logits_fn(images), y)) for images in (x, start))
  total = jnp.sum(maps, axis=tuple(range(1, maps.ndim)), dtype=wide_dtype(maps))
  return total - (explained - of_baseline)


def _quadrature(rule: str, steps: int) -> tuple[np.ndarray, np.ndarray]:
  """Points in [0, 1] and weights that sum to 1."""
  if rule == "gauss_legendre":
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    return (nodes + 1) / 2, weights / 2
  if rule == "trapezoid":
    weights = np.full(steps, 1 / (steps - 1))
    weights[[0, -1]] /= 2
    return np.linspace(0, 1, steps), weights
  offset = {"left": 0.0, "midpoint": 0.5, "right": 1.0}[rule]
  return (np.arange(steps) + offset) / steps, np.full(steps, 1 / steps)
