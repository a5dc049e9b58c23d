"""RISE: the average of random masks, each weighted by what the network says of what it shows."""

import math

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.arguments import baseline_images, check_arguments
from robust_saliency.attributions.places import Sides, as_images, cells_per_side, sides
from robust_saliency.attributions.registry import attribution
from robust_saliency.attributions.scores import NON_NEGATIVE, Score, get_score
from robust_saliency.core import Key, LogitsFn, checks, example_keys, fold_samples, full_precision
from robust_saliency.core.tracing import floating, wide_dtype


# A sum of scores, each times a mask >= 0.
@attribution(signed=lambda settings: settings["score"] not in NON_NEGATIVE)
@full_precision
def rise(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  samples: int = 4000,
  cells: Sides | None = None,
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
    x: images [B, H, W, C], signals [B, L, C], or rows of features [B, D].
    y: the classes to explain, int [B].
    samples: number N of masks per image (static; 4,000 to 8,000 in the paper).
    cells: of a mask's sides, before it is enlarged (static; s in the paper): a number, or a pair
      (rows, columns). None for 7, or the side's pixels where there are fewer; for every column of
      rows.
    keep: the probability p that a cell is shown (traced).
    baseline: what hidden pixels become: a number, an image or one per example. The paper's 0 is
      a grey image where inputs are normalised, and black in [0, 1].
    score: by default the class's probability, as in the paper; else as in `gradient`.
    chunk_size: masked images per model call (static); None masks every image once at a time.
    unroll: see `smoothgrad`.

  Returns:
    Maps of x's shape, the same in each channel; for a probability within [0, 1 / p], where what
    matters is how they differ within an image.

  Source: Petsiuk et al. 2018, "RISE: randomized input sampling for explanation of black-box
  models", equation 6 and section 3.2.

  >>> x = jnp.ones((1, 8, 8, 1))
  >>> rise(jax.random.key(0), lambda x: jnp.ones((len(x), 2)), x, jnp.array([0]), samples=3).shape
  (1, 8, 8, 1)
  """
  logits_fn = floating(logits_fn)
  x = check_arguments(logits_fn, x, y)
  checks.fraction(keep=keep)
  checks.positive(keep=keep)
  checks.scalar(keep=keep)
  score_function = get_score(score)
  shape, start = x.shape, baseline_images(baseline, x)
  lengths, counts = sides(x), cells_per_side(cells, x)
  logits_fn, x = as_images(logits_fn, x)

  def weighted_mask(
    numbers: Array, keys: Array, images: Array, start: Array, classes: Array
  ) -> Array:
    masks = jax.vmap(
      lambda key, number: random_mask(
        jax.random.fold_in(key, number), lengths, cells=counts, keep=keep
      )
    )(keys, numbers).astype(wide_dtype(x))[..., None]
    shown = (masks * images + (1 - masks) * start).astype(x.dtype)
    return score_function(logits_fn(shown), classes)[:, None, None, None] * masks

  total = fold_samples(
    weighted_mask,
    example_keys(key, x.shape[0]),
    x,
    start.reshape(x.shape),
    y,
    samples=samples,
    chunk_size=chunk_size,
    unroll=unroll,
  )
  return jnp.broadcast_to(total / (samples * keep), x.shape).reshape(shape).astype(x.dtype)


def random_mask(
  key: Key, sides: tuple[int, int], *, cells: Sides, keep: float | Array = 0.5
) -> Array:
  """A smooth random mask: a random grid, enlarged bilinearly and shifted by part of a cell.

  Args:
    key: a PRNG key.
    sides: height and width of the image (static).
    cells: of both sides, or of each (static).
    keep: the probability that a cell is 1, else 0.

  Returns:
    [H, W] in [0, 1], with mean `keep` at every pixel.

  Source: Petsiuk et al. 2018, section 3.2, steps 1 to 3.

  >>> random_mask(jax.random.key(0), (8, 6), cells=3, keep=1.0).shape
  (8, 6)
  """
  height, width = sides
  rows, columns = cells if isinstance(cells, tuple) else (cells, cells)
  cell = (math.ceil(height / rows), math.ceil(width / columns))
  grid_key, *shift_keys = jax.random.split(key, 3)
  grid = jax.random.bernoulli(grid_key, keep, (rows, columns)).astype(jnp.float32)
  # Cells of one pixel are neither shifted nor mixed with their neighbours.
  size = [
    (count + (pixels > 1)) * pixels for count, pixels in zip((rows, columns), cell, strict=True)
  ]
  enlarged = jax.image.resize(grid, size, "linear")
  shifts = [
    jax.random.randint(shift_key, (), 0, pixels)
    for shift_key, pixels in zip(shift_keys, cell, strict=True)
  ]
  return jax.lax.dynamic_slice(enlarged, shifts, sides)
