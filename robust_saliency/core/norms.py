"""The threat models' norms: value, ball, steepest direction and random point.

A `Norm` works on *one* example of any shape; batches go through `jax.vmap`.
"""

import dataclasses
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax import Array

from robust_saliency.core import checks
from robust_saliency.core.tracing import others_promotions, wide_dtype, widened
from robust_saliency.core.types import Key


@dataclasses.dataclass(frozen=True)
class Norm:
  """One norm of the perturbation and the four operations that attacks need of it.

  Attributes:
    name: "linf", "l2" or "l1".
    length: v [...] -> its norm, a scalar in float32 at least.
    project: (v [...], radius) -> the nearest point of the ball, in Euclidean distance and in v's
      dtype; the radius may be traced and of any dtype, and 0 gives 0.
    steepest: g [...] -> the direction d of norm 1 that maximises <g, d>, in g's dtype; 0 where g
      is 0.
    random: (key, shape, radius) -> a point drawn uniformly from the ball.

  >>> float(get_norm("l2").length(jnp.array([3.0, 4.0])))
  5.0
  >>> get_norm("l2").project(jnp.array([3.0, 4.0]), 1.0).tolist()
  [0.6, 0.8]
  >>> get_norm("linf").steepest(jnp.array([0.5, -2.0])).tolist()
  [1.0, -1.0]
  """

  name: str
  length: Callable[[Array], Array]
  project: Callable[[Array, Array | float], Array]
  steepest: Callable[[Array], Array]
  random: Callable[[Key, tuple[int, ...], Array | float], Array]


def get_norm(name: str | Norm) -> Norm:
  """The norm of this name; a `Norm` of one's own is passed through.

  Raises:
    ValueError: for an unknown name.
  """
  if isinstance(name, Norm):
    return name
  checks.one_of(name, NORMS, argument="norm")
  return NORMS[name]


def _linf_random(key: Key, shape: tuple[int, ...], radius: Array | float) -> Array:
  return radius * jax.random.uniform(key, shape, minval=-1.0, maxval=1.0)


def _linf_project(v: Array, radius: Array | float) -> Array:
  radius = jnp.asarray(radius, v.dtype)
  return jnp.clip(v, -radius, radius)


def _root_of_squares(scaled: Array) -> Array:
  # Norms are measured outside attacks, too, where products may be in TF32 or bfloat16. The largest
  # entry is 1 or -1, or all are 0, for which 1 serves as well and has a derivative.
  squares = jnp.vdot(scaled, scaled, precision=jax.lax.Precision.HIGHEST)
  return jnp.sqrt(squares + (squares == 0).astype(squares.dtype))


def _l2_length(v: Array) -> Array:
  v = widened(v)
  # Scaled by the largest entry, since the squares of entries below 1e-19 underflow in float32.
  largest = jnp.max(jnp.abs(v), initial=0.0)
  scale = jnp.where(largest > 0, largest, 1.0)
  scaled = v / scale
  return jnp.where(largest > 0, scale * _root_of_squares(scaled), 0.0)


def _l2_steepest(g: Array) -> Array:
  # Distilled networks have gradients of 1e-30, whose direction is still exact.
  wide = widened(g)
  largest = jnp.max(jnp.abs(wide), initial=0.0)
  scaled = wide / jnp.where(largest > 0, largest, 1.0)
  return (scaled / _root_of_squares(scaled)).astype(g.dtype)


def _l1_steepest(g: Array) -> Array:
  flat = g.reshape(-1)
  largest = jnp.argmax(jnp.abs(flat))
  return jnp.zeros_like(flat).at[largest].set(jnp.sign(flat[largest])).reshape(g.shape)


def _l1_project(v: Array, radius: Array) -> Array:
  magnitude = jnp.abs(v)
  # A shift does not change the nearest point of the simplex; after this one float32 holds the
  # radius even where it is small beside v.
  shifted = magnitude - jax.lax.stop_gradient(jnp.max(magnitude, initial=0.0))
  on_sphere = jnp.sign(v) * optax.projections.projection_simplex(shifted, radius)
  return jnp.where(jnp.sum(magnitude) <= radius, v, on_sphere)


def _guarded(project: Callable[[Array, Array], Array]) -> Callable[[Array, Array | float], Array]:
  # optax's projections divide by the radius and give NaN where it is 0, square what then over- or
  # underflows (below 1e-19 in float32), and have no rule for half precision.
  def projected(v: Array, radius: Array | float) -> Array:
    wide = widened(v)
    radius = jnp.asarray(radius, wide.dtype)
    inside = jnp.where(radius > 0, radius, 1.0)
    scale = jax.lax.stop_gradient(jnp.maximum(inside, jnp.max(jnp.abs(wide), initial=0.0)))
    with others_promotions():
      nearest = scale * project(wide / scale, inside / scale)
    return jnp.where(radius > 0, nearest, 0.0).astype(v.dtype)

  return projected


# `jax.random.ball` rejects gamma samples in a loop, which costs 128 images 60 to 180 ms on CPU.
def _l2_random(key: Key, shape: tuple[int, ...], radius: Array | float) -> Array:
  direction_key, length_key = jax.random.split(key)
  direction = _l2_steepest(jax.random.normal(direction_key, shape))
  return radius * jax.random.uniform(length_key) ** (1 / math.prod(shape)) * direction


def _l1_random(key: Key, shape: tuple[int, ...], radius: Array | float) -> Array:
  # Barthe et al. 2005, "A probabilistic approach to the geometry of the l_p^n-ball", theorem 1.
  point_key, rest_key = jax.random.split(key)
  point = jax.random.laplace(point_key, shape)
  return radius * point / (jnp.sum(jnp.abs(point)) + jax.random.exponential(rest_key))


LINF = Norm(
  name="linf",
  length=lambda v: widened(jnp.max(jnp.abs(v), initial=0.0)),
  project=_linf_project,
  steepest=jnp.sign,
  random=_linf_random,
)

L2 = Norm(
  name="l2",
  length=_l2_length,
  project=_guarded(optax.projections.projection_l2_ball),
  steepest=_l2_steepest,
  random=_l2_random,
)

L1 = Norm(
  name="l1",
  length=lambda v: jnp.sum(jnp.abs(v), dtype=wide_dtype(v)),
  project=_guarded(_l1_project),
  steepest=_l1_steepest,
  random=_l1_random,
)

NORMS = {norm.name: norm for norm in (LINF, L2, L1)}
