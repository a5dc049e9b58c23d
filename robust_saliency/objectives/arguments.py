"""What the bare terms are given, checked: shapes and dtypes always, values where they are known.

Nothing here calls the network: what it gives is checked where it is called anyway.
"""

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import LogitsFn, checks

# How far from 1 probabilities may sum: those of half precision, or rounded to three places, are a
# few thousandths off; counts, scores or logits taken for probabilities are never so near.
SUM_TOLERANCE = 0.01


def checked(logits_fn: LogitsFn, x: Array) -> LogitsFn:
  """Checks the images and the network; what the network gives is checked when it is called.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C], floating point.

  Returns:
    The same function, which raises for anything but floating-point logits [B, K].

  Raises:
    ValueError, TypeError: in a sentence that names the argument.

  >>> checked(lambda x: x.sum(), jnp.ones((1, 2)))(jnp.ones((1, 2)))
  Traceback (most recent call last):
  ValueError: logits_fn must map images (1, 2) to logits (1, classes), got ()
  """
  checks.images(x)
  checks.network(logits_fn)

  def with_checked_logits(images: Array) -> Array:
    logits = logits_fn(images)
    shape = getattr(logits, "shape", None)
    if shape is None or len(shape) != 2 or shape[0] != images.shape[0] or not shape[1]:
      given = shape if shape is not None else type(logits).__name__
      raise ValueError(
        f"logits_fn must map images {images.shape} to logits ({images.shape[0]}, classes), got "
        f"{given}"
      )
    if not jnp.issubdtype(logits.dtype, jnp.floating):
      raise TypeError(f"logits_fn must give floating-point logits, got {logits.dtype}")
    return logits

  return with_checked_logits


def probabilities(targets: Array, logits: Array, *, argument: str = "targets") -> None:
  """Raises unless these are probabilities [B, K] of the classes of these logits [B, K].

  >>> probabilities(jnp.array([[1.0, 1.0]]), jnp.zeros((1, 2)))
  Traceback (most recent call last):
  ValueError: targets must sum to 1 over the classes, got a sum of 2
  """
  if not hasattr(targets, "dtype") or not jnp.issubdtype(targets.dtype, jnp.floating):
    given = getattr(targets, "dtype", type(targets).__name__)
    raise TypeError(f"{argument} must hold floating-point probabilities [batch, K], got {given}")
  if targets.shape != logits.shape:
    raise ValueError(
      f"{argument} must have one probability per image and class, shape {logits.shape}, got "
      f"{targets.shape}"
    )
  if not targets.size or not checks.is_concrete(targets):
    return
  # Inside `jit` even constants would be traced; these are known now.
  with jax.ensure_compile_time_eval():
    wide = jnp.asarray(targets).astype(jnp.float32)
    lowest, sums = float(jnp.min(wide)), jnp.sum(wide, axis=-1)
    error = jnp.abs(sums - 1)
    furthest = float(sums[jnp.argmax(error)])  # NaN, where there is one
  if not lowest >= 0:
    raise ValueError(f"{argument} must be probabilities >= 0, got {lowest:g}")
  if not abs(furthest - 1) <= SUM_TOLERANCE:
    raise ValueError(f"{argument} must sum to 1 over the classes, got a sum of {furthest:g}")


def maps(maps: Array, x: Array, *, classes: int | None = None, argument: str = "maps") -> None:
  """Raises unless these are maps of the images' shape, with `classes` one of each for each class.

  >>> maps(jnp.zeros((2, 4, 4)), jnp.zeros((2, 4, 4, 1)))
  Traceback (most recent call last):
  ValueError: maps must be of the images' shape (2, 4, 4, 1), got (2, 4, 4)
  """
  if not hasattr(maps, "dtype") or not jnp.issubdtype(maps.dtype, jnp.floating):
    given = getattr(maps, "dtype", type(maps).__name__)
    raise TypeError(f"{argument} must hold floating-point numbers, got {given}")
  if maps.shape != (x.shape if classes is None else (*x.shape, classes)):
    form = str(x.shape) if classes is None else f"{x.shape} and one more axis of {classes} classes"
    raise ValueError(f"{argument} must be of the images' shape {form}, got {maps.shape}")
  checks.finite(**{argument: maps})


def class_images(class_images: Array, x: Array, *, classes: int) -> None:
  """Raises unless there is an image of the size of x for each of the classes."""
  checks.images(class_images, argument="class_images")
  if class_images.shape != (classes, *x.shape[1:]):
    raise ValueError(
      f"class_images must be one image per class, shape {(classes, *x.shape[1:])}, got "
      f"{class_images.shape}"
    )


def check_mask(mask: Array, x: Array) -> None:
  """Raises unless the mask is a floating-point number >= 0 for each image."""
  shape = getattr(mask, "shape", None)
  if shape != x.shape[:1]:
    given = shape if shape is not None else type(mask).__name__
    raise ValueError(f"mask must have one number per image, shape {x.shape[:1]}, got {given}")
  if not jnp.issubdtype(mask.dtype, jnp.floating):
    raise TypeError(f"mask must hold floating-point numbers, got {mask.dtype}")
  checks.non_negative(mask=mask)


def attacked_images(x_adv: Array, x: Array) -> None:
  """Raises unless an attack has returned images of the shape that it was given."""
  shape = getattr(x_adv, "shape", None)
  if shape != x.shape:
    given = shape if shape is not None else type(x_adv).__name__
    raise ValueError(f"attack must return images of the shape of x, {x.shape}, got {given}")
