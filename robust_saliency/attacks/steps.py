"""How an attack moves along the gradient: optax transformations of one image's gradient.

They are given the gradient of what the attack increases, and the image as `params`; what they
return is added to the image. The loop maps them over the examples, so an optimiser whose state or
norm spans its whole input (Adam's does not, clipping by global norm does) never couples examples.
Any optax optimiser will do; since those descend, pass it through `ascending`.
"""

import jax.numpy as jnp
import optax
from jax import Array

from robust_saliency.core import L1, Norm, PixelBounds, checks, get_norm
from robust_saliency.core.checks import shown
from robust_saliency.core.tracing import wide_dtype


def is_stuck(image: Array, gradient: Array, bounds: PixelBounds) -> Array:
  """Which pixels stand at the bound through which the gradient pushes them."""
  low, high = bounds
  return ((image <= low) & (gradient < 0)) | ((image >= high) & (gradient > 0))


def steepest_steps(
  norm: Norm, step_size: Array | float, bounds: PixelBounds
) -> optax.GradientTransformation:
  """Steps of length `step_size` in the norm's direction of steepest ascent.

  sign(g) for linf, g / ||g||_2 for l2, the largest coordinate for l1. In l1 a coordinate that
  already stands at the bound it is pushed to would hold up the whole step, so it is skipped
  (Tramer & Boneh 2019, "Adversarial training and robustness for multiple perturbations", section
  4.1, do the same). A step of its own length s in each channel is the steepest of those d for which
  ||d / s|| = 1.

  Args:
    norm: the norm, or its name.
    step_size: >= 0, in the images' units; one number, or one per channel.
    bounds: (low, high) of the pixels.

  Returns:
    An optax transformation of one image's gradient, whose updates are added.

  >>> steps = steepest_steps("l2", 0.5, (0.0, 1.0))
  >>> gradient = jnp.array([3.0, -4.0])
  >>> steps.update(gradient, steps.init(gradient), jnp.zeros(2))[0].tolist()
  [0.3, -0.4]
  """
  norm = get_norm(norm)
  checks.non_negative(step_size=step_size)
  checks.some_bounds(bounds)

  def update(gradient: Array, image: Array | None = None) -> Array:
    if norm is L1 and image is not None:
      gradient = jnp.where(is_stuck(image, gradient, bounds), 0.0, gradient)
    length = jnp.asarray(step_size, gradient.dtype)
    return length * norm.steepest(length * gradient if length.ndim else gradient)

  return optax.stateless(update)


def momentum_steps(
  norm: Norm, step_size: Array | float, decay: Array | float, bounds: PixelBounds
) -> optax.GradientTransformation:
  """Steepest steps along the accumulated gradient m <- decay m + g / mean |g|.

  Args:
    norm: as in `steepest_steps`.
    step_size: as in `steepest_steps`.
    decay: >= 0; 0 forgets, 1 is the paper's.
    bounds: as in `steepest_steps`.

  Returns:
    As `steepest_steps`.

  Source: Dong et al. 2018, "Boosting adversarial attacks with momentum", equation 6; the mean
  instead of the sum only scales m, which `steepest` undoes.

  >>> steps = momentum_steps("linf", 0.1, 1.0, (0.0, 1.0))
  >>> moves, state = steps.update(jnp.array([2.0, -1.0]), steps.init(jnp.zeros(2)))
  >>> steps.update(jnp.array([-1.0, -1.0]), state)[0].tolist()  # 4/3 - 1, and -2/3 - 1
  [0.1, -0.1]
  """
  checks.scalar(decay=decay)
  checks.non_negative(decay=decay)

  def normalise(gradient: Array, image: Array | None = None) -> Array:
    del image
    size = jnp.mean(jnp.abs(gradient), dtype=wide_dtype(gradient))
    return (gradient / jnp.where(size > 0, size, 1.0)).astype(gradient.dtype)

  return optax.chain(
    optax.stateless(normalise), optax.trace(decay), steepest_steps(norm, step_size, bounds)
  )


def ascending(optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
  """An optax optimiser with its sign flipped, for gradient ascent.

  Args:
    optimizer: any optax optimiser of one image.

  Returns:
    One that an attack takes as its `optimizer`.

  Raises:
    TypeError: for what is no optimiser.

  >>> optimizer = ascending(optax.sgd(0.5))
  >>> gradient = jnp.array([2.0, -1.0])
  >>> optimizer.update(gradient, optimizer.init(gradient))[0].tolist()
  [1.0, -0.5]
  """
  if not isinstance(optimizer, optax.GradientTransformation):
    raise TypeError(f"optimizer must be an optax transformation, got {shown(optimizer)}")
  return optax.chain(optax.scale(-1.0), optimizer)
