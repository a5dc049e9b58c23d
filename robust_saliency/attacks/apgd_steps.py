"""How Auto-PGD moves in linf and l2: momentum, and steps that are halved when progress stops."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attacks.threat import start_in_ball, within_ball
from robust_saliency.core import Key, Norm, PixelBounds
from robust_saliency.core.tracing import wide_dtype


class StepRule(NamedTuple):
  """How one image moves, given what the model says of where it stands.

  Unlike an optax optimiser it sees the loss, and may jump back to the best image so far.

  Attributes:
    passes: how many images are evaluated and left again; the one after them is only evaluated.
    allowed_from: the pass from which on the images lie within the attack's ball.
    start: (key, origin) -> a random image where the attack of `origin` starts.
    initialize: (start, origin) -> state.
    update: (pass number, state, origin, image, gradient, loss) -> (next image, state); the
      gradient is that of the loss at the image.
  """

  passes: int
  allowed_from: int
  start: Callable[[Key, Array], Array]
  initialize: Callable[[Array, Array], Any]
  update: Callable[..., tuple[Array, Any]]


class Peak(NamedTuple):
  """The image with the highest loss so far, and the gradient there."""

  image: Array
  gradient: Array
  loss: Array

  @classmethod
  def unseen(cls, image: Array) -> "Peak":
    """The state before anything was evaluated."""
    return cls(image, jnp.zeros_like(image), jnp.full((), -jnp.inf, wide_dtype(image)))

  def climbed(self, image: Array, gradient: Array, loss: Array) -> "Peak":
    """The higher of this peak and a new point; a loss of NaN never is."""
    higher = loss > self.loss
    new = (image, gradient, loss)
    return Peak(*(jnp.where(higher, a, b) for a, b in zip(new, self, strict=True)))


class Halving(NamedTuple):
  """What one image remembers between the steps of `halving_steps`."""

  previous: Array
  step_size: Array
  peak: Peak
  last_loss: Array
  increases: Array
  peak_at_check: Array
  just_halved: Array


def checkpoints(steps: int) -> np.ndarray:
  """After how many steps progress is checked: 0.22 n, then at intervals shrinking to 0.06 n.

  Source: Croce & Hein 2020, section 4.1.1 (p_1 = 0.22, p_{j+1} = p_j + max(p_j - p_{j-1} - 0.03,
  0.06)), rounded as in the authors' code.

  >>> checkpoints(100).tolist()
  [22, 41, 57, 70, 80, 87, 93, 99]
  """
  # Whole percents, since 0.06 * 50 is a little less than 3 in floats.
  interval, least, shrink = (max(percent * steps // 100, 1) for percent in (22, 6, 3))
  reached, found = interval, []
  while reached <= steps:
    found.append(reached)
    interval = max(interval - shrink, least)
    reached += interval
  return np.array(found)


def halving_steps(
  norm: Norm,
  epsilon: Array | float,
  bounds: PixelBounds,
  *,
  steps: int,
  rho: Array | float,
  momentum: float = 0.75,
) -> StepRule:
  """Auto-PGD's steps, for norms whose ball has a projection.

      z = P(x_t + s steepest(g_t)),   x_{t+1} = P(x_t + a (z - x_t) + (1 - a) (x_t - x_{t-1}))

  with a = `momentum`, s = 2 epsilon at first. At a checkpoint s is halved, and the image goes back
  to the best one so far, if since the last checkpoint (1) the loss has grown in at most a fraction
  `rho` of the steps, or (2) s was not halved there and the highest loss is still the same.

  Args:
    norm: of the ball.
    epsilon: its radius (traced).
    bounds: (low, high) of the pixels, each one number or one per channel [C].
    steps: number of steps (static).
    rho: the fraction of condition 1 (traced).
    momentum: a, the share of the new step; the first step is taken whole.

  Source: Croce & Hein 2020, algorithm 1. In condition 1 a fraction of exactly rho halves, and
  after a return the next loss is compared to the one before the return, as in the authors' code.
  """
  project = within_ball(norm, epsilon, bounds)
  checks = checkpoints(steps)
  windows = np.zeros(steps + 1, np.int32)
  windows[checks] = np.diff(checks, prepend=0)

  def start(key: Key, origin: Array) -> Array:
    return project(start_in_ball(norm, epsilon)(key, origin), origin)

  def initialize(image: Array, origin: Array) -> Halving:
    del origin
    peak = Peak.unseen(image)
    return Halving(
      previous=image,
      step_size=jnp.asarray(2.0 * epsilon, image.dtype),
      peak=peak,
      last_loss=-peak.loss,  # so that the first loss is no increase
      increases=jnp.int32(0),
      peak_at_check=peak.loss,
      just_halved=jnp.array(True),
    )

  def update(
    i: Array | int, state: Halving, origin: Array, image: Array, gradient: Array, loss: Array
  ) -> tuple[Array, Halving]:
    increases = state.increases + (loss > state.last_loss).astype(jnp.int32)
    peak = state.peak.climbed(image, gradient, loss)

    window = jnp.asarray(windows)[i]
    check = window > 0
    oscillates = increases.astype(float) <= rho * window.astype(float)
    stagnates = ~state.just_halved & (state.peak_at_check >= peak.loss)
    halve = check & (oscillates | stagnates)
    step_size = jnp.where(halve, state.step_size / 2, state.step_size)
    image = jnp.where(halve, peak.image, image)
    gradient = jnp.where(halve, peak.gradient, gradient)

    share = jnp.where(i == 0, 1.0, momentum).astype(image.dtype)
    ascended = project(image + step_size * norm.steepest(gradient), origin)
    carried = image + share * (ascended - image) + (1 - share) * (image - state.previous)
    return project(carried, origin), Halving(
      previous=image,
      step_size=step_size,
      peak=peak,
      last_loss=loss,
      increases=jnp.where(check, 0, increases),
      peak_at_check=jnp.where(check, peak.loss, state.peak_at_check),
      just_halved=jnp.where(check, halve, state.just_halved),
    )

  return StepRule(steps, 0, start, initialize, update)
