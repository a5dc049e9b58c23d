"""Pixels that go by the rank that maps give them, and maps that know no network."""

from collections.abc import Callable

import jax
import numpy as np
from jax import Array

from robust_saliency.attributions.faithfulness import important_pixels
from robust_saliency.studies.sobel import sobel_magnitude


def edges(x: np.ndarray) -> np.ndarray:
  """How steep images are, float32 [N, H, W]: `sobel_magnitude`, summed over channels."""
  return sobel_magnitude(x).sum(axis=-1).astype(np.float32)


# Maps that no network gives; of equal values `important_pixels` draws lots.
CONTROLS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
  "random": lambda x: np.zeros(x.shape[:3], np.float32),
  "edges": edges,
}


def removed(
  key: Array, maps: np.ndarray, fraction: float, *, keeps: bool, noise: float = 0.0
) -> np.ndarray:
  """The pixels that go, bool [N, H, W, 1].

  Args:
    key: orders equal values.
    maps: what pixels are ranked by [N, H, W].
    fraction: of the pixels that go.
    keeps: True for KAR, where the least important ones go; False for ROAR.
    noise: as of `important_pixels`.
  """
  ranked = (-maps if keeps else maps)[..., None]
  return np.asarray(_important_pixels(key, ranked, fraction=fraction, noise=noise))


_important_pixels = jax.jit(important_pixels)
