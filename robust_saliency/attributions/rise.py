"""RISE: the average of random masks, each weighted by what the network says of what it shows."""

import math

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.gradient import check_attribution_arguments
from robust_saliency.attributions.paths import baseline_images
from robust_saliency.attributions.scores import Score, get_score
from robust_saliency.core import Key, LogitsFn, checks, example_keys, fold_samples, full_precision
from robust_saliency.core.tracing import floating, wide_dtype


@full_precision
def rise(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  samples: int = 4000,
  cells: int = 7,
  keep: float | Array = 0.5,
  baseline: Array | float = 0.0,
  score: str | Score = "probability",
  chunk_size: int | None = None,
  unroll: bool | int | None = None,
) -> Array:
  """1 / (N p) sum_i score(m_i * x) m_i, over N random masks m_i of mean p.

  Args:
    key: one PRNG key, or one per example [B].
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C].
    y: the classes to explain, int [B].
    samples: number N of masks per image (static; 4,000 to 8,000 in the paper).
    cells: of a mask's side, before it is enlarged (static; s in the paper).
    keep: the probability p that a cell is shown (traced).
    baseline: what hidden pixels become: a number, an image or one per example. The paper's 0 is
      a grey image where inputs are normalised, and black in [0, 1].
    score: by default the class's probability, as in the paper; else as in `gradient`.
    chunk_size: masked images per model call (static); None masks every image once at a time.
    unroll: see `smoothgrad`.

  Returns:
    Maps [B, H, W, C], the same in each channel; for a probability within [0, 1 / p], where what
    matters is how they differ within an image.

  Source: Petsiuk et al. 2018, "RISE: randomized input sampling for explanation of black-box
  models", equation 6 and section 3.2.

  >>> x = jnp.ones((1, 8, 8, 1))
  >>> rise(jax.random.key(0), lambda x: jnp.ones((len(x), 2)), x, jnp.array([0]), samples=3).shape
  (1, 8, 8, 1)
  """
  logits_fn = floating(logits_fn)
  check_attribution_arguments(logits_fn, x, y)
  checks.count(cells=cells)
  checks.fraction(keep=keep)
  checks.positive(keep=keep)
  if x.ndim != 4:
    raise ValueError(f"x must have shape [batch, height, width, channels], got {x.shape}")
  if cells > min(x.shape[1:3]):
    raise ValueError(
      f"cells must be at most the pixels of a side, {min(x.shape[1:3])}, got {cells}"
    )
  score_function = get_score(score)
  sides = (x.shape[1], x.shape[2])
  start = baseline_images(baseline, x)

  def weighted_mask(
    numbers: Array, keys: Array, images: Array, start: Array, classes: Array
  ) -> Array:
    masks = jax.vmap(
      lambda key, number: random_mask(
        jax.random.fold_in(key, number), sides, cells=cells, keep=keep
      )
    )(keys, numbers).astype(wide_dtype(x))[..., None]
    shown = (masks * images + (1 - masks) * start).astype(x.dtype)
    return score_function(logits_fn(shown), classes)[:, None, None, None] * masks

  total = fold_samples(
    weighted_mask,
    example_keys(key, x.shape[0]),
    x,
    start,
    y,
    samples=samples,
    chunk_size=chunk_size,
    unroll=unroll,
  )
  return jnp.broadcast_to(total / (samples * keep), x.shape).astype(x.dtype)


def random_mask(
  key: Key, sides: tuple[int, int], *, cells: int, keep: float | Array = 0.5
) -> Array:
  """A smooth random mask: a random grid, enlarged bilinearly and shifted by part of a cell.

  Args:
    key: a PRNG key.
    sides: height and width of the image (static).
    cells: of a side (static).
    keep: the probability that a cell is 1, else 0.

  Returns:
    [H, W] in [0, 1], with mean `keep` at every pixel.

  Source: Petsiuk et al. 2018, section 3.2, steps 1 to 3.

  >>> random_mask(jax.random.key(0), (8, 6), cells=3, keep=1.0).shape
  (8, 6)
  """
  height, width = sides
  cell = (math.ceil(height / cells), math.ceil(width / cells))
  grid_key, *shift_keys = jax.random.split(key, 3)
  grid = jax.random.bernoulli(grid_key, keep, (cells, cells)).astype(jnp.float32)
  enlarged = jax.image.resize(grid, ((cells + 1) * cell[0], (cells + 1) * cell[1]), "linear")
  shifts = [
    jax.random.randint(shift_key, (), 0, pixels)
    for shift_key, pixels in zip(shift_keys, cell, strict=True)
  ]
  return jax.lax.dynamic_slice(enlarged, shifts, sides)
