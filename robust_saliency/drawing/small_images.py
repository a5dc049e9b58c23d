"""Single small images as PNG files, one dot a pixel: whatever shows them enlarges them."""

import io

import numpy as np
from matplotlib import colormaps
from PIL import Image

from robust_saliency.drawing.saliency_panel import PERCENTILE, UNSIGNED_MAP, scale


def map_png(sizes: np.ndarray) -> bytes:
  """A map in one sequential colour, from white for 0 to dark for its `PERCENTILE`.

  Each map has its own scale, so that nothing but its shape tells one method from another.

  Args:
    sizes: [H, W], >= 0; what is not finite counts as 0.

  >>> map_png(np.eye(2))[1:4]
  b'PNG'
  """
  finite = np.where(np.isfinite(sizes), sizes, 0.0)
  shades = np.clip(finite / scale(finite, PERCENTILE), 0, 1)
  colours = np.asarray(colormaps[UNSIGNED_MAP](shades))
  return image_png(np.rint(255 * colours[..., :3]).astype(np.uint8))


def image_png(image: np.ndarray) -> bytes:
  """An image.

  Args:
    image: [H, W, C], uint8, or a float in [0, 1]; of 1 or 3 channels, others are averaged.

  >>> image_png(np.zeros((2, 2, 1)))[1:4]
  b'PNG'
  """
  if image.dtype != np.uint8:
    image = np.rint(255 * np.clip(np.nan_to_num(image), 0, 1)).astype(np.uint8)
  if image.shape[-1] != 3:
    image = np.rint(image.mean(axis=-1)).astype(np.uint8)
  elif (image == image[..., :1]).all():
    image = image[..., 0]
  buffer = io.BytesIO()
  Image.fromarray(image).save(buffer, format="png", optimize=True)
  return buffer.getvalue()
