"""Infidelity: how far a map is from telling what a change of the image does to the score."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.arguments import check_arguments, check_maps
from robust_saliency.attributions.postprocess import scale
from robust_saliency.attributions.scores import Score, get_score
from robust_saliency.core import (
  Bounds,
  Key,
  LogitsFn,
  checks,
  example_keys,
  fold_samples,
  full_precision,
  map_batches,
)
from robust_saliency.core.tracing import floating, wide_dtype, widened

# (key, image of one example) -> what is taken away from it, of its shape.
Perturbation = Callable[[Array, Array], Array]


@full_precision
def infidelity(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  maps: Array,
  *,
  samples: int = 100,
  noise_level: float | Array = 0.2,
  bounds: Bounds = (0.0, 1.0),
  perturbation: Perturbation | None = None,
  scaled: bool = False,
  score: str | Score = "logit",
  chunk_size: int | None = None,
  unroll: bool | int | None = None,
) -> Array:
  """E_I[(<I, map> - (score(x) - score(x - I)))^2] over perturbations I of the image.

  With `scaled` the map is multiplied by the number that makes this least for its example, by least
  squares: E[<I, map> d] / E[<I, map>^2], where d is the score's change. So maps whose sizes have no
  meaning, such as guided backpropagation's, compare with others.

  Args:
    key: one PRNG key, or one per example [B].
    logits_fn: maps images [B, H, W, C] to logits [B, K]; no gradient of it is taken.
    x: images [B, ...] within `bounds`; x - I is not clipped.
    y: the explained classes, int [B].
    maps: attributions of x's shape, in the score's units per unit of a pixel, as the gradient's.
      Gradient x input and Integrated Gradients are in the score's units: divide them by x less
      their baseline where that is not 0, or take the gradient in the place of the former.
    samples: number of perturbations per image (static).
    noise_level: the standard deviation of I ~ N(0, sigma^2) as a fraction of the bounds' width
      (traced; 0.2 in the authors' code for MNIST). Not used where a perturbation is given.
    bounds: (low, high) of the pixels.
    perturbation: draws another I: `(key, image [...]) -> I of its shape`; x less a baseline,
      squares of the image and the like.
    scaled: whether the map is scaled first (static).
    score: as in `gradient`.
    chunk_size: images per model call (static); None takes one perturbation of every image at a
      time.
    unroll: see `smoothgrad`.

  Returns:
    [B], >= 0, in the score's units squared; 0 for the gradient of a linear score.

  Raises:
    ValueError, TypeError: for bad arguments, in a sentence that names them.

  Source: Yeh et al. 2019, "On the (in)fidelity and sensitivity of explanations", definition 2.1,
  and proposition 2.1 for the scale.

  >>> x, weights = jnp.ones((1, 2)), jnp.array([[2.0, 0.0], [1.0, 0.0]])
  >>> network = lambda x: x @ weights
  >>> infidelity(jax.random.key(0), network, x, jnp.array([0]), jnp.array([[2.0, 1.0]])).tolist()
  [0.0]
  """
  logits_fn = floating(logits_fn)
  checks.pixel_bounds(bounds)
  x = check_arguments(logits_fn, x, y, bounds=bounds)
  maps = check_maps(maps, x)
  checks.non_negative(noise_level=noise_level)
  checks.scalar(noise_level=noise_level)
  checks.flag(scaled=scaled)
  if scaled:
    maps = scale(widened(maps))  # whose squares stay in float32's range
  checks.unrolled(unroll)
  checks.count(samples=samples)
  keys = example_keys(key, x.shape[0])
  if perturbation is None:
    sigma = noise_level * (bounds[1] - bounds[0])
    perturbation = _gaussian(sigma)
  checks.function(perturbation=perturbation)
  draw = perturbation
  score_function = get_score(score)

  def score_of(images: Array, classes: Array) -> Array:
    return widened(score_function(logits_fn(images), classes))

  def errors(
    numbers: Array, keys: Array, x: Array, classes: Array, maps: Array, whole: Array
  ) -> Array:
    taken = jax.vmap(lambda key, number, x: draw(jax.random.fold_in(key, number), x))(
      keys, numbers, x
    )
    if taken.shape != x.shape:
      raise ValueError(
        f"perturbation must map an image {x.shape[1:]} to one of its shape, got {taken.shape[1:]}"
      )
    moved = (x - taken).astype(x.dtype)
    change = whole - score_of(moved, classes)
    axes = tuple(range(1, x.ndim))
    # What was really taken away, where pixels have few bits.
    said = jnp.sum((x - moved).astype(wide_dtype(x)) * widened(maps), axis=axes)
    said = said.astype(change.dtype)
    if not scaled:
      return (said - change) ** 2
    return jnp.stack([said**2, said * change, change**2], axis=1)

  whole = map_batches(score_of, x, y, chunk_size=chunk_size)
  total = fold_samples(
    errors, keys, x, y, maps, whole, samples=samples, chunk_size=chunk_size, unroll=unroll
  )
  if not scaled:
    return total / samples
  squares, products, changes = (total / samples).T
  is_zero = squares == 0
  explained = jnp.where(is_zero, 0, products**2 / jnp.where(is_zero, 1, squares))
  # Less than nothing is left by rounding alone.
  return jnp.maximum(changes - explained, 0)


def _gaussian(sigma: float | Array) -> Perturbation:
  def draw(key: Array, image: Array) -> Array:
    return sigma * jax.random.normal(key, image.shape, wide_dtype(image))

  return draw
