"""Local contrast normalisation: evens out the light and the contrast of each neighbourhood."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from robust_saliency.core import checks
from robust_saliency.models.convolution import loop_safe_conv

MEANS = ("image", "batch")
FLOOR = 1e-4  # of the divisor


def local_contrast_normalization(
  x: Array,
  *,
  mean: str = "image",
  window: int = 7,
  sigma: float = 3.0,
  mask: Array | None = None,
  axis_name: str | None = None,
) -> Array:
  """Subtracts each pixel's local mean and divides by its local deviation.

  v = x - w * x,  d = sqrt(w * v^2),  v / max(d, mean(d), 1e-4), where w * is the convolution with
  a Gaussian of sum 1, zeros beyond the border. mean(d) keeps flat regions from being blown up.

  Args:
    x: grey images [B, H, W, 1].
    mean: where mean(d) is taken. "image": over each image, so that no image depends on the
      others in the batch, which attacks and attributions count on. "batch": over the whole
      batch, as the authors' code does (the paper does not say); then predictions depend on the
      batch, and gradients leak from image to image.
    window: side of the square window, odd.
    sigma: of the Gaussian, in pixels.
    mask: [B], 1 for real images and 0 for padding, which the batch's mean leaves out.
    axis_name: the `jax.pmap` axis over which the batch is spread.

  Returns:
    [B, H, W, 1].

  Raises:
    ValueError: for an unknown `mean`, an even window, or images that are not grey.

  Source: Jarrett et al. 2009, "What is the best multi-stage architecture for object recognition?",
  section 2, with the window and the floor of Ross & Doshi-Velez, AAAI 2018 (the authors' code).

  >>> x = jnp.zeros((1, 9, 9, 1)).at[0, 4, 4, 0].set(5.0)
  >>> bright, dark = (local_contrast_normalization(a * x) for a in (1.0, 0.1))
  >>> bool(jnp.allclose(bright, dark, rtol=1e-4))
  True
  """
  checks.one_of(mean, MEANS, argument="mean")
  checks.count(window=window)
  checks.positive(sigma=sigma)
  if window % 2 == 0:
    raise ValueError(f"window must be odd, got {window}")
  if x.ndim != 4 or x.shape[-1] != 1:
    raise ValueError(f"x must hold grey images [B, H, W, 1], got shape {x.shape}")
  kernel = _gaussian(window, sigma).astype(x.dtype)

  def blur(x: Array) -> Array:
    return loop_safe_conv(
      x,
      kernel,
      (1, 1),
      "SAME",
      dimension_numbers=("NHWC", "HWIO", "NHWC"),
      precision=lax.Precision.HIGHEST,
    )

  v = x - blur(x)
  variance = blur(v * v)
  # Twice `where`: else the infinite slope of the root at zero makes flat images' gradients NaN.
  flat = variance <= 0
  d = jnp.where(flat, 0, jnp.sqrt(jnp.where(flat, 1, variance)))
  per_image = d.mean((1, 2, 3), keepdims=True)
  average = per_image if mean == "image" else _batch_mean(per_image, mask, axis_name)
  return v / jnp.maximum(jnp.maximum(d, average), FLOOR)


def _gaussian(window: int, sigma: float) -> Array:
  """Weights [window, window, 1, 1] that sum to 1."""
  offsets = np.arange(window) - window // 2
  profile = np.exp(-(offsets**2) / (2 * sigma**2))
  weights = np.outer(profile, profile)
  return jnp.asarray((weights / weights.sum())[..., None, None])


def _batch_mean(per_image: Array, mask: Array | None, axis_name: str | None) -> Array:
  """The mean of [B, 1, 1, 1] over the real images of all devices."""
  weights = jnp.ones(len(per_image)) if mask is None else mask
  weights = weights.astype(per_image.dtype).reshape(per_image.shape)
  total, count = jnp.sum(weights * per_image), jnp.sum(weights)
  if axis_name is not None:
    total, count = jax.lax.psum((total, count), axis_name)
  return total / jnp.maximum(count, 1)
