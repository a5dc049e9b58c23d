"""How steep images are, by Sobel's filters: a map that no network has made."""

import numpy as np
from scipy import ndimage


def sobel_magnitude(images: np.ndarray) -> np.ndarray:
  """The Euclidean length of Sobel's two responses, in each channel; borders are mirrored.

  Args:
    images: [B, H, W, C].

  Returns:
    [B, H, W, C], >= 0; a step of height 1 between two columns has the size 4 on both.

  Source: Sobel & Feldman 1968, "A 3x3 isotropic gradient operator for image processing".

  >>> sobel_magnitude(np.repeat([0.0, 0.0, 1.0, 1.0], 4).reshape(1, 4, 4, 1))[0, :, 1, 0].tolist()
  [0.0, 4.0, 4.0, 0.0]
  """

  # `ndimage.sobel` smooths along all other axes, and would mix images and channels.
  def response(along: int, across: int) -> np.ndarray:
    slopes = ndimage.correlate1d(images, [-1, 0, 1], axis=along, mode="reflect")
    return ndimage.correlate1d(slopes, [1, 2, 1], axis=across, mode="reflect")

  return np.hypot(response(1, 2), response(2, 1))
