"""Pixels that go by the rank that maps give them, and maps that know no network."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions.faithfulness.removal import are_among_first, importance_ranks
from robust_saliency.studies.sobel import sobel_magnitude


def edges(x: np.ndarray) -> np.ndarray:
  """How steep images are, float32 [N, H, W]: `sobel_magnitude`, summed over channels."""
  return sobel_magnitude(x).sum(axis=-1).astype(np.float32)


# Maps that no network gives; of equal values `important_pixels` draws lots.
CONTROLS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
  "random": lambda x: np.zeros(x.shape[:3], np.float32),
  "edges": edges,
}


def order_of_removal(key: Array, maps: np.ndarray, *, keeps: bool, noise: float = 0.0) -> Array:
  """The places in which pixels go, int32 [N, H, W, 1] from 0 on.

  Args:
    key: orders equal values.
    maps: what pixels are ranked by [N, H, W].
    keeps: True for KAR, where the least important ones go first; False for ROAR.
    noise: as of `important_pixels`.
  """
  return _importance_ranks(key, (-maps if keeps else maps)[..., None], noise=noise)


@jax.jit
def without(order: Array, fraction: float, x: np.ndarray, fill: np.ndarray) -> Array:
  """Images without their first pixels.

  Args:
    order: as `order_of_removal` gives it.
    fraction: of the pixels that go.
    x: float images [N, H, W, C], or what broadcasts to them.
    fill: what stands in their place, likewise.
  """
  return jnp.where(are_among_first(order, fraction), fill, x)


_importance_ranks = jax.jit(importance_ranks)
