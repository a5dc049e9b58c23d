"""Numbers that sum up a saliency map [B, H, W, C]: how rough it is, how sparse, how like the image.

None depends on the map's scale. A map that is zero everywhere has none of them and gets NaN, which
a mean does not pass over without a word.
"""

import jax.numpy as jnp
from jax import Array

from robust_saliency.attributions.postprocess import scale
from robust_saliency.core import checks
from robust_saliency.core.tracing import widened


def total_variation(maps: Array) -> Array:
  """How rough maps are: the differences between neighbours, per size of the values.

      sum_ij |a[i + 1, j] - a[i, j]| + |a[i, j + 1] - a[i, j]|  /  sum_ij |a[i, j]|

  That is the anisotropic total variation of the map divided by its mean absolute value, per
  pixel, so that neither scale nor size of the image matters.

  Args:
    maps: [B, H, W, C]; neighbours are compared within a channel.

  Returns:
    [B], from 0 for a constant map to at most 4 (one pixel alone); about 2.8 for white noise. NaN
    for a map of zeros.

  Raises:
    ValueError: for maps of another rank.

  Source: Rudin, Osher & Fatemi 1992, "Nonlinear total variation based noise removal algorithms".

  >>> total_variation(jnp.array([[0.0, 0, 0], [0, 5, 0], [0, 0, 0]]).reshape(1, 3, 3, 1)).tolist()
  [4.0]
  """
  _check(maps)
  values = scale(widened(maps))
  differences = (jnp.abs(jnp.diff(values, axis=axis)) for axis in (1, 2))
  return sum(map(_sum, differences), start=jnp.zeros(())) / _sum(jnp.abs(values))


def gini(maps: Array) -> Array:
  """How sparse maps are: the Gini index of the sizes |a| of their numbers.

      sum_i (2 i - n - 1) |a|_(i)  /  (n sum_i |a|_(i)),   |a|_(1) <= ... <= |a|_(n)

  Args:
    maps: [B, H, W, C]; each of the n = H * W * C numbers counts. For one number per pixel, give
      it `channel_sum(maps)`.

  Returns:
    [B], from 0 where all sizes are equal to 1 - 1 / n where a single number is not zero. NaN for
    a map of zeros.

  Raises:
    ValueError: for maps of another rank.

  Source: Hurley & Rickard 2009, "Comparing measures of sparsity"; of saliency maps, Chalasani et
  al. 2020, "Concise explanations of neural networks using adversarial training".

  >>> gini(jnp.array([[0.0, 0.0, -3.0, 0.0], [1.0, -1.0, 1.0, 1.0]]).reshape(2, 2, 2, 1)).tolist()
  [0.75, 0.0]
  """
  _check(maps)
  sizes = jnp.sort(jnp.abs(scale(widened(maps))).reshape(len(maps), -1), axis=1)
  n = sizes.shape[1]
  weights = (2 * jnp.arange(1, n + 1) - n - 1) / n
  return jnp.sum(weights * sizes, axis=1) / jnp.sum(sizes, axis=1)


def alignment(maps: Array, x: Array) -> Array:
  """How like the image maps are: the size of the cosine between a map and the centred image.

      |<x - mean(x), a>|  /  (||x - mean(x)||_2 ||a||_2)

  Etmann et al. take |<x, g>| / ||g||_2. That grows with the image's norm, so that bright or
  contrasty images count for more, and with any constant that is added to all pixels, so that a
  map without detail seems to be like an image on [0, 1]. Divided by the centred image's norm,
  it is the same for every linear rescaling of the pixels, and images and data sets compare.

  Args:
    maps: [B, H, W, C].
    x: the images that they explain, of the same shape. Each is centred by the mean of all its
      numbers.

  Returns:
    [B], from 0 to 1. NaN for a map of zeros or an image of one grey.

  Raises:
    ValueError: for maps of another rank, or not of the images' shape.

  Source: Etmann et al. 2019, "On the connection between adversarial robustness and saliency map
  interpretability", definition of alignment, normalised as above.

  >>> image = jnp.array([0.2, 0.6, 0.8, 0.4]).reshape(1, 2, 2, 1)
  >>> alignment(-3 * (image - 0.5), image).tolist()
  [1.0]
  """
  _check(maps)
  checks.array(x=x)
  if maps.shape != x.shape:
    raise ValueError(f"maps must have the images' shape {x.shape}, got {maps.shape}")
  pixels = (1, 2, 3)
  x = widened(x)
  # The mean of equal pixels may be off by rounding, which scaling would make into an image.
  is_flat = jnp.max(x, axis=pixels, keepdims=True) == jnp.min(x, axis=pixels, keepdims=True)
  centred = scale(jnp.where(is_flat, 0.0, x - jnp.mean(x, axis=pixels, keepdims=True)))
  values = scale(widened(maps))
  lengths = jnp.sqrt(_sum(centred**2)) * jnp.sqrt(_sum(values**2))
  return jnp.minimum(jnp.abs(_sum(centred * values)) / lengths, 1.0)


def _sum(maps: Array) -> Array:
  return jnp.sum(maps, axis=(1, 2, 3))


def _check(maps: Array) -> None:
  checks.array(maps=maps)
  if maps.ndim != 4:
    raise ValueError(f"maps must have the axes [B, H, W, C], got shape {maps.shape}")
