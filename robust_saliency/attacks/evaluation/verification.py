"""Whether an attack kept to its threat model, measured afterwards in float64."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.core import NORMS, Norm, PixelBounds, get_norm

_ORDERS = {"linf": np.inf, "l2": 2, "l1": 1}


def leaves_threat_model(
  x_adv: np.ndarray,
  x: np.ndarray,
  *,
  norm: str | Norm,
  epsilon: Array | float | None,
  bounds: PixelBounds,
) -> np.ndarray:
  """Which images lie outside the ball or the bounds, by more than the rounding of their pixels.

  A pixel is rounded by up to u = max(|low|, |high|) / 2^24 in float32. The bounds are held to 4u,
  the ball to epsilon (1 + 1e-6) + 4u ||1||, where ||1|| is the norm of an image of ones: for
  pixels in [0, 1], 2.4e-7 more than epsilon in linf. NaN and infinite pixels lie outside.

  Args:
    x_adv: images [N, ...] to be judged.
    x: the images [N, ...] that they were made from.
    norm: "linf", "l2", "l1" or a `Norm` of one's own, whose lengths are float32.
    epsilon: radius of the ball, one or one per channel [C], where the norm is that of the change in
      units of it; None for attacks that only keep to the bounds.
    bounds: (low, high) of the pixels, each one number or one per channel [C].

  Returns:
    bool [N].

  >>> x = np.full((2, 1, 1, 1), 0.5, np.float32)
  >>> x_adv = x + np.float32([0.1, 0.1001]).reshape(2, 1, 1, 1)
  >>> leaves_threat_model(x_adv, x, norm="linf", epsilon=0.1, bounds=(0, 1)).tolist()
  [False, True]
  """
  norm = get_norm(norm)
  low, high = (np.asarray(bound, np.float64) for bound in bounds)
  rounding = 2 * float(jnp.finfo(x_adv.dtype).eps) * np.maximum(np.abs(low), np.abs(high))
  pixels = np.asarray(x_adv, np.float64)
  # Written so that NaN, which compares false, lies outside.
  within = (pixels >= low - rounding) & (pixels <= high + rounding)
  if epsilon is None:
    return ~_all(within)
  change = pixels - np.asarray(x, np.float64)
  change = np.where(np.isfinite(change), change, np.inf)
  radius, unit = float(np.max(epsilon)), np.ones(())
  if np.ndim(epsilon):
    radii = np.asarray(epsilon, np.float64)
    within &= (radii > 0) | (np.abs(change) <= rounding)
    # A channel without a radius has been judged, and adds nothing to the length.
    unit = np.where(radii > 0, radii / np.where(radius > 0, radius, 1), np.inf)
  most = float(np.max(rounding))
  slack = most * float(norm.length(jnp.ones(x.shape[1:]) * (rounding / most / unit)))
  near: np.ndarray = _lengths(change / unit, norm) <= radius * (1 + 1e-6) + slack
  return ~(_all(within) & near)


def _all(pixels: np.ndarray) -> np.ndarray:
  return np.all(pixels.reshape(len(pixels), -1), axis=1)


def _lengths(changes: np.ndarray, norm: Norm) -> np.ndarray:
  if norm is NORMS.get(norm.name):
    return np.linalg.norm(changes.reshape(len(changes), -1), _ORDERS[norm.name], axis=1)
  return np.asarray(jax.vmap(norm.length)(jnp.asarray(changes, jnp.float32)))
