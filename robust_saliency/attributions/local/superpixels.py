"""Segments: the parts of an image that perturbation methods keep or hide together.

A segmentation maps images [B, H, W, C] to labels 0 .. d - 1, int32 [H, W] where all images share
them (`grid`, `pixels`: these work under `jit`) or [B, H, W] where each has its own (`slic`,
`quickshift`, `felzenszwalb`: scikit-image's, which run on the host on images that are known).
The latter look at colours as they are in [0, 1] and therefore need the pixels' `bounds`. `grid` and
`pixels` also cut signals [B, L, C], into labels [L], and rows of features [B, D], into [D].
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.places import Sides, cells_per_side, places, sides
from robust_saliency.core import Bounds, checks
from robust_saliency.core.binding import bind, find, settings_of
from robust_saliency.core.tracing import widened

Segmentation = Callable[[Array], np.ndarray]

# What methods take: a name, a config's settings, a function of the images, or labels.
Segments = str | Mapping[str, Any] | Segmentation | Array | np.ndarray


def grid(x: Array, *, cells: Sides | None = None) -> np.ndarray:
  """Cuts images into rectangles, as equal as whole pixels allow.

  Args:
    x: images [B, H, W, C], signals [B, L, C], or rows of features [B, D]; only their shape counts.
    cells: cells per side (static), or a pair (rows, columns). None for 7, or the side's pixels
      where there are fewer; for every column of rows.

  Returns:
    Labels int32 [H, W], row by row; [L] or [D].

  Raises:
    ValueError, TypeError: for more cells than pixels, or a number that is not a positive integer.

  >>> grid(jnp.zeros((1, 4, 4, 1)), cells=2).tolist()
  [[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 2, 3, 3]]
  """
  counts = cells_per_side(cells, x)
  rows, columns = (
    np.arange(side) * count // side for side, count in zip(sides(x), counts, strict=True)
  )
  return (rows[:, None] * counts[1] + columns).astype(np.int32).reshape(places(x))


def pixels(x: Array) -> np.ndarray:
  """Every pixel is a segment: labels int32 [H, W], row by row; [L] or [D], in order.

  >>> pixels(jnp.zeros((1, 2, 2, 1))).tolist()
  [[0, 1], [2, 3]]
  """
  height, width = sides(x)
  return np.arange(height * width, dtype=np.int32).reshape(places(x))


def slic(
  x: Array,
  *,
  segments: int = 50,
  compactness: float = 10.0,
  sigma: float = 0.0,
  bounds: Bounds = (0.0, 1.0),
) -> np.ndarray:
  """SLIC superpixels: k-means over colour and place.

  Args:
    x: images [B, H, W, C], C = 1 or 3, within `bounds`.
    segments: about how many per image.
    compactness: how much place counts beside colour; large ones give squares.
    sigma: width in pixels of a Gaussian smoothing before.
    bounds: (low, high) of the pixels; segments are those of the image rescaled to [0, 1].

  Returns:
    Labels int32 [B, H, W], in each image from 0 to its number of segments - 1. (scikit-image
    counts from 1, with which `lime` never hides the last segment.)

  Raises:
    ValueError: for pixels outside the bounds.
    TypeError: inside `jit`, where pixels are not known.

  Source: Achanta et al. 2012, "SLIC superpixels compared to state-of-the-art superpixel methods".
  """
  checks.count(segments=segments)
  checks.positive(compactness=compactness)
  checks.non_negative(sigma=sigma)
  checks.scalar(compactness=compactness, sigma=sigma)
  from skimage.segmentation import slic as segment

  return _segment_each(
    x,
    bounds,
    lambda image: segment(image, n_segments=segments, compactness=compactness, sigma=sigma),
  )


def quickshift(
  x: Array,
  *,
  kernel_size: float = 4.0,
  max_dist: float = 200.0,
  ratio: float = 0.2,
  bounds: Bounds = (0.0, 1.0),
) -> np.ndarray:
  """Quickshift superpixels: each pixel joins its nearest neighbour of higher density.

  The defaults are those of `lime`. They are meant for photographs: of a 28x28 digit they leave one
  segment or two; `kernel_size=1` leaves some ten.

  Args:
    x: images [B, H, W, C], C = 1 or 3, within `bounds`.
    kernel_size: width in pixels of the density's Gaussian; larger ones give fewer segments.
    max_dist: how far a pixel may be from the one that it joins.
    ratio: how much colour counts beside place, in [0, 1].
    bounds: (low, high) of the pixels; segments are those of the image rescaled to [0, 1].

  Returns:
    Labels int32 [B, H, W], in each image from 0 to its number of segments - 1.

  Raises:
    ValueError: for pixels outside the bounds.
    TypeError: inside `jit`, where pixels are not known.

  Source: Vedaldi & Soatto 2008, "Quick shift and kernel methods for mode seeking".
  """
  checks.positive(kernel_size=kernel_size, max_dist=max_dist)
  checks.fraction(ratio=ratio)
  checks.scalar(kernel_size=kernel_size, max_dist=max_dist, ratio=ratio)
  from skimage.segmentation import quickshift as segment

  return _segment_each(
    x,
    bounds,
    lambda image: segment(image, kernel_size=kernel_size, max_dist=max_dist, ratio=ratio),
  )


def felzenszwalb(
  x: Array,
  *,
  scale: float = 100.0,
  sigma: float = 0.8,
  min_size: int = 20,
  bounds: Bounds = (0.0, 1.0),
) -> np.ndarray:
  """Felzenszwalb's superpixels: a minimum spanning tree cut where neighbours differ.

  Args:
    x: images [B, H, W, C], C = 1 or 3, within `bounds`.
    scale: larger ones give larger segments.
    sigma: width in pixels of a Gaussian smoothing before.
    min_size: the fewest pixels of a segment.
    bounds: (low, high) of the pixels; segments are those of the image rescaled to [0, 1].

  Returns:
    Labels int32 [B, H, W], in each image from 0 to its number of segments - 1.

  Raises:
    ValueError: for pixels outside the bounds.
    TypeError: inside `jit`, where pixels are not known.

  Source: Felzenszwalb & Huttenlocher 2004, "Efficient graph-based image segmentation".
  """
  checks.positive(scale=scale)
  checks.non_negative(sigma=sigma)
  checks.scalar(scale=scale, sigma=sigma)
  checks.count(min_size=min_size)
  from skimage.segmentation import felzenszwalb as segment

  return _segment_each(
    x, bounds, lambda image: segment(image, scale=scale, sigma=sigma, min_size=min_size)
  )


SEGMENTATIONS: dict[str, Segmentation] = {
  "grid": grid,
  "pixels": pixels,
  "slic": slic,
  "quickshift": quickshift,
  "felzenszwalb": felzenszwalb,
}


def get_segments(
  segments: Segments,
  x: Array,
  num_segments: int | None = None,
  *,
  bounds: Bounds = (0.0, 1.0),
) -> tuple[Array | np.ndarray, int]:
  """Labels of images, and how many there are.

  Args:
    segments: a name of `SEGMENTATIONS`, {"name": ..., and its settings} as a config has it, any
      function of the images, or the labels themselves.
    x: images [B, H, W, C].
    num_segments: the number of labels (static); needed where the labels are traced.
    bounds: (low, high) of the pixels, for a named segmentation that looks at them.

  Returns:
    Labels [H, W] or [B, H, W] ([L] or [B, L], [D] or [B, D]), and their number d.

  Raises:
    ValueError, TypeError: for unknown names, labels of another shape or dtype or outside [0, d).
  """
  shape = places(x)
  checks.pixel_bounds(bounds)
  if isinstance(segments, str):
    segments = {"name": segments}
  if isinstance(segments, Mapping):
    segmentation = find(SEGMENTATIONS, segments)
    if segmentation is not None and "bounds" in settings_of(segmentation):
      segments = {"bounds": bounds, **segments}
    segments = bind(SEGMENTATIONS, segments, what="segments")
  if callable(segments):
    segments = segments(x)
  if not hasattr(segments, "dtype") or not jnp.issubdtype(segments.dtype, jnp.integer):
    given = getattr(segments, "dtype", type(segments).__name__)
    raise TypeError(f"segments must be a name, a function or integer labels, got {given}")
  if segments.shape not in (shape, (x.shape[0], *shape)):
    raise ValueError(
      f"segments must have shape {shape} or {(x.shape[0], *shape)}, got {segments.shape}"
    )
  if num_segments is not None:
    checks.count(num_segments=num_segments)
  if not checks.is_concrete(segments):
    if num_segments is None:
      raise ValueError("num_segments must be given where segments are traced")
    return segments, num_segments
  segments = np.asarray(segments)
  low, high = (int(segments.min()), int(segments.max())) if segments.size else (0, 0)
  if low < 0 or (num_segments is not None and high >= num_segments):
    allowed = f"0 to {num_segments - 1}" if num_segments is not None else "0 and above"
    raise ValueError(f"segments must be labels {allowed}, got {low if low < 0 else high}")
  return segments, high + 1 if num_segments is None else num_segments


def labels_of_images(labels: Array | np.ndarray, x: Array) -> Array | np.ndarray:
  """Labels of x's places as those of `places.as_images`: [H, W] or [B, H, W]."""
  return labels if x.ndim == 4 else labels[..., None]


def paint_segments(values: Array, segments: Array | np.ndarray) -> Array:
  """Gives each pixel its segment's value, e.g. a coefficient of LIME or a class's NormLIME.

  Args:
    values: [N, d], one per segment of each image (or class).
    segments: labels [H, W] or [N, H, W].

  Returns:
    Maps [N, H, W, 1].

  >>> paint_segments(jnp.array([[1.0, 2.0]]), np.array([[0, 0], [1, 1]]))[..., 0].tolist()
  [[[1.0, 1.0], [2.0, 2.0]]]
  """
  if segments.ndim == 2:
    return values[:, segments][..., None]
  return jax.vmap(lambda row, labels: row[labels])(values, jnp.asarray(segments))[..., None]


def present_segments(segments: Array | np.ndarray, num_segments: int) -> Array:
  """Which labels each image has: [B, H, W] -> bool [B, d].

  >>> present_segments(np.array([[[0, 2]]]), 3).tolist()
  [[True, False, True]]
  """
  return jax.vmap(lambda labels: jnp.zeros(num_segments, bool).at[labels.reshape(-1)].set(True))(
    jnp.asarray(segments)
  )


def relabel(segments: np.ndarray) -> np.ndarray:
  """The labels of one image renamed to 0 .. d - 1, in their order.

  >>> relabel(np.array([[3, 3], [7, 1]])).tolist()
  [[1, 1], [2, 0]]
  """
  _, labels = np.unique(segments, return_inverse=True)
  return labels.reshape(segments.shape).astype(np.int32)


def _segment_each(
  x: Array, bounds: Bounds, segment: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
  height, width = image_sides(x)
  if not checks.is_concrete(x):
    raise TypeError(
      "x must be known: superpixels are found on the host, outside jit; "
      "compute them first and pass the labels"
    )
  if x.shape[-1] not in (1, 3):
    raise ValueError(f"x must have 1 or 3 channels, got shape {x.shape}")
  checks.images(x, bounds=bounds)
  pixels_01 = np.asarray(widened(x))  # scikit-image knows no bfloat16
  if tuple(bounds) != (0, 1):
    low, high = map(float, bounds)
    pixels_01 = ((pixels_01.astype(np.float64) - low) / (high - low)).astype(pixels_01.dtype)
  # Grey images become colour images, as in `lime`: scikit-image converts colours to Lab.
  images = np.broadcast_to(pixels_01, (*x.shape[:-1], 3))
  labels = [relabel(segment(np.ascontiguousarray(image))) for image in images]
  return np.stack(labels) if labels else np.zeros((0, height, width), np.int32)


def image_sides(x: Array) -> tuple[int, int]:
  """(H, W) of images [B, H, W, C], or a ValueError where they have other axes."""
  if x.ndim != 4:
    raise ValueError(f"x must have shape [batch, height, width, channels], got {x.shape}")
  return x.shape[1], x.shape[2]
