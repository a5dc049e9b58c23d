"""What attacks share that look for the nearest adversarial image instead of the worst in a ball."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import L1, L2, LINF, LogitsFn, Norm, checks, get_norm, repeat
from robust_saliency.core.losses import cw_margin, other_logits
from robust_saliency.core.per_example import per_example
from robust_saliency.core.predictions import is_correct
from robust_saliency.core.tracing import wide_dtype, widened

# By Hölder's inequality, |<g, d>| <= dual(g) * norm(d), with equality for some d.
DUALS = {"linf": L1, "l2": L2, "l1": LINF}

# Some thirty units in the last place of float32, as a fraction of the largest logit.
ROUNDING = 4e-6
# What lies so far below the largest logit has probability 0 in every precision.
MASKED = 1e4


class Nearest(NamedTuple):
  """The nearest adversarial image found so far, and its distance in float32, per example."""

  x: Array
  distance: Array


def distances(norm: str | Norm, x: Array, x_adv: Array, fooled: Array) -> Array:
  """How far an attack had to move each image, infinity where it found nothing.

  Args:
    norm: "linf", "l2", "l1" or a `Norm`.
    x: images [B, H, W, C].
    x_adv: adversarial images [B, H, W, C].
    fooled: bool [B], whether the model misclassifies x_adv.

  Returns:
    Norms of the perturbations [B], in pixel units; infinite where the model is not fooled.

  >>> x, x_adv = jnp.zeros((2, 1, 1, 2)), jnp.full((2, 1, 1, 2), 0.3)
  >>> distances("linf", x, x_adv, jnp.array([True, False])).tolist()
  [0.3, inf]
  """
  checks.array(x=x, x_adv=x_adv)
  if x_adv.shape != x.shape:
    raise ValueError(f"x_adv must have the shape of x, {x.shape}, got {x_adv.shape}")
  is_bool = hasattr(fooled, "dtype") and jnp.issubdtype(fooled.dtype, jnp.bool_)
  if not is_bool or fooled.shape != x.shape[:1]:
    raise ValueError(f"fooled must be bool of shape {x.shape[:1]}, got {checks.shown(fooled)}")
  return jnp.where(fooled, jax.vmap(get_norm(norm).length)(widened(x_adv) - widened(x)), jnp.inf)


def accuracy_curve(distances: Array, epsilons: Array) -> Array:
  """Robust accuracy at many epsilons, from one run of a minimal-norm attack.

  An image withstands all perturbations up to epsilon (as far as the attack knows) if its nearest
  adversarial image is further away.

  Args:
    distances: [B], from the function of that name.
    epsilons: radii [E].

  Returns:
    The fraction of images [E] whose distance exceeds epsilon.

  >>> accuracy_curve(jnp.array([0.0, 0.1, 0.2, jnp.inf]), jnp.array([0.0, 0.15, 0.3])).tolist()
  [0.75, 0.5, 0.25]
  """
  checks.array(distances=distances, epsilons=epsilons)
  return jnp.mean(distances > epsilons[:, None], axis=1)


def margin(logits: Array, y: Array, targeted: bool = False) -> Array:
  """By how much each example [B] is misclassified; with `targeted`, by how much as y."""
  return -cw_margin(logits, y) if targeted else cw_margin(logits, y)


def fools(logits: Array, y: Array, targeted: bool = False) -> Array:
  """Whether each example [B] is misclassified (as y), by more than rounding could undo.

  What these attacks look for lies at the boundary, where the same model compiled into another
  program, or called with another batch size, may say something else. An image on which the model
  breaks fools nobody.
  """
  return margin(logits, y, targeted) > lead_needed(logits)


def lead_needed(logits: Array) -> Array:
  """How large the margin of an example [B] must be for it to count as misclassified.

  Classes that a model has masked, by -1e9 or -inf, say nothing about the rounding of the others.
  """
  is_masked = logits < jnp.max(logits, axis=-1, keepdims=True) - MASKED
  return ROUNDING * jnp.max(jnp.where(is_masked, 0.0, jnp.abs(logits)), axis=-1)


def nothing_found(x: Array, logits: Array, y: Array, targeted: bool = False) -> Nearest:
  """Where a search begins: at distance 0 for images that are misclassified (as y) already."""
  done = is_correct(logits, y) == targeted
  return Nearest(x, jnp.where(done, 0.0, jnp.inf).astype(wide_dtype(x)))


def nearer(norm: Norm, x: Array, candidate: Array, fooled: Array, nearest: Nearest) -> Nearest:
  """The nearest image so far, or where it fools the model and is nearer, the candidate."""
  found = distances(norm, x, candidate, fooled)
  wins = found < nearest.distance
  return Nearest(
    jnp.where(per_example(wins, x), candidate, nearest.x), jnp.where(wins, found, nearest.distance)
  )


def result(nearest: Nearest, x: Array, epsilon: Array | float | None) -> Array:
  """What an attack returns: the nearest image found; beyond epsilon, where one is given, x."""
  x_adv = nearest.x
  if epsilon is not None:
    x_adv = jnp.where(per_example(nearest.distance <= epsilon, x), x_adv, x)
  return jax.lax.stop_gradient(x_adv)


def likeliest_others(logits: Array, y: Array, count: int) -> Array:
  """The `count` likeliest classes but y, [B, count], in the order of their logits."""
  return jax.lax.top_k(other_logits(logits, y), count)[1]


def nearest_boundary(
  norm: Norm,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  others: Array,
  *,
  targeted: bool = False,
  unroll: bool | int | None = None,
) -> tuple[Array, Array]:
  """The linearised boundary nearest to each image, among those between y and other classes.

  The boundary to class k is where z_k - z_y, linearised at x, is 0; it is as far away as
  |z_k - z_y| / ||grad(z_k - z_y)||, in the dual norm. What is aimed at is twice the lead that
  `fools` asks for, since an image at the boundary itself would find no way to go.

  To reach y, an image must cross all its boundaries: with `targeted` the one that it must go
  farthest to cross is meant, and z_y - z_k.

  Args:
    norm: in which "nearest" is meant.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C].
    y: int [B], the true classes, or with `targeted` the classes to reach.
    others: int [B, M], the classes considered; each costs a backward pass. With `targeted` as many,
      those that are likeliest at the image.
    targeted: whether y are targets.
    unroll: see `core.repeat`.

  Returns:
    z_k - z_y (z_y - z_k), less that lead, of that boundary [B] and its gradient [B, H, W, C]; both
    0 where no class has a gradient.
  """
  checks.one_of(norm.name, DUALS, argument="norm")
  logits, pullback = jax.vjp(logits_fn, x)
  if targeted:
    others = likeliest_others(logits, y, others.shape[1])

  def boundary(column: Array | int) -> tuple[Array, Array]:
    other = others[:, column]
    to, away = (y, other) if targeted else (other, y)
    is_to, is_away = (
      jax.nn.one_hot(one, logits.shape[1], dtype=logits.dtype) for one in (to, away)
    )
    rows = jnp.arange(len(y))
    value = logits[rows, to] - logits[rows, away] - 2 * lead_needed(logits)
    # No NaN of a model that breaks may get into the pixels.
    return jnp.nan_to_num(value), jnp.nan_to_num(pullback(is_to - is_away)[0])

  steepness_of = jax.vmap(DUALS[norm.name].length)

  def choose(column: Array | int, state: tuple) -> tuple:
    shortest, value, slope = state
    new_value, new_slope = boundary(column)
    steepness = steepness_of(new_slope)
    # Of the boundaries of a target, the one that is farthest on the other side is the least.
    ahead = new_value if targeted else jnp.abs(new_value)
    distance = (ahead / jnp.where(steepness > 0, steepness, 1.0)).astype(wide_dtype(x))
    wins = (steepness > 0) & (distance < shortest)
    return (
      jnp.where(wins, distance, shortest),
      jnp.where(wins, new_value, value),
      jnp.where(per_example(wins, x), new_slope, slope),
    )

  if others.shape[1] == 1:
    value, slope = boundary(0)
    return jnp.where(steepness_of(slope) > 0, value, 0), slope
  # One class after the other: on CPU faster than all in one batch, and no memory is multiplied.
  none = (
    jnp.full(len(x), jnp.inf, wide_dtype(x)),
    jnp.zeros(len(x), logits.dtype),
    jnp.zeros_like(x),
  )
  return repeat(choose, none, times=others.shape[1], unroll=unroll)[1:]
