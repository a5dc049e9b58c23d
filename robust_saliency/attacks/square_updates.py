"""What Square Attack draws: where an image's search starts, and the squares that it then tries.

All work on one image [H, W, C] and are mapped over the batch. The side of a square is traced, so
that one compiled program serves every stage of the search: a square is a mask, not a slice.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from robust_saliency.attacks.l1_box import l1_ball_within_bounds
from robust_saliency.attacks.threat import within_ball
from robust_saliency.core import L1, L2, LINF, Norm, PixelBounds


class Updates(NamedTuple):
  """The random moves of one norm, made of numbers that are uniform in [0, 1).

  Both moves take their numbers from one draw, since each place where random numbers are drawn
  takes as long to compile as a small network.

  Attributes:
    count: shape of an image -> how many numbers a move needs.
    start: (numbers, image) -> where its search starts.
    update: (numbers, image, current, side) -> a candidate within the ball and the bounds.
    side: (share of the pixels, (H, W)) -> the side of a square, in pixels.
  """

  count: Callable[[tuple[int, ...]], int]
  start: Callable[[Array, Array], Array]
  update: Callable[[Array, Array, Array, Array], Array]
  side: Callable[[Array, tuple[int, ...]], Array]


# After how many ten-thousandths of the queries the share of the pixels in a square is halved.
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


def share_of_pixels(proposal: Array | int, queries: int, p_init: Array | float) -> Array:
  """The share of the image's pixels in the square of this proposal, counted from 0.

  Source: section 4.1, "the schedule", for 10,000 queries, stretched to fewer or more.
  """
  # In whole numbers, since a float32 quotient would move a stage by one query.
  firsts = jnp.array([math.ceil((after + 1) * queries / 10_000) for after in HALVINGS])
  return p_init * 0.5 ** jnp.sum(proposal >= firsts).astype(float)


def updates_of(norm: Norm, epsilon: Array | float, bounds: PixelBounds) -> Updates:
  """The moves for a norm: squares of one colour for linf, pairs of pyramids for l2 and l1.

  Raises:
    ValueError: for a norm of one's own, whose squares nobody has defined.
  """
  if norm not in (LINF, L2, L1):
    raise ValueError(f"square works in linf, l2 and l1, got the norm {norm.name!r}")
  if norm is LINF:
    return _flat_squares(epsilon, bounds)
  return _pyramids(norm, epsilon, bounds)


def _flat_squares(epsilon: Array | float, bounds: PixelBounds) -> Updates:
  project = within_ball(LINF, epsilon, bounds)

  def count(shape: tuple[int, ...]) -> int:
    _, width, channels = shape
    return max(width * channels, 2 + channels)

  def start(numbers: Array, image: Array) -> Array:
    _, width, channels = image.shape
    stripes = _signs(numbers[: width * channels].reshape(1, width, channels), image)
    return project(image + epsilon * stripes, image)

  def update(numbers: Array, image: Array, current: Array, side: Array) -> Array:
    inside = _inside(image, _corner(numbers[:2], image, side), side)
    signs = _signs(numbers[2 : 2 + image.shape[2]][None, None], image)
    return project(current + 2 * epsilon * jnp.where(inside, signs, 0), image)

  def side(share: Array, size: tuple[int, ...]) -> Array:
    return jnp.clip(_side(share, size), 1, min(size))

  return Updates(count, start, update, side)


def _pyramids(norm: Norm, epsilon: Array | float, bounds: PixelBounds) -> Updates:
  nearest = within_ball(norm, epsilon, bounds)

  def project(candidate: Array, image: Array) -> Array:
    if norm is L1:
      return l1_ball_within_bounds(candidate, image, epsilon, bounds)
    return nearest(candidate, image)

  def lengths(v: Array) -> Array:
    """The length of each channel, [1, 1, C]."""
    if norm is L1:
      return jnp.sum(jnp.abs(v), axis=(0, 1), keepdims=True)
    return jnp.sqrt(jnp.sum(v**2, axis=(0, 1), keepdims=True))

  def unit(v: Array) -> Array:
    return _divided(v, lengths(v))

  def filling(delta: Array, image: Array) -> Array:
    """The image moved in the direction of delta, as far as the ball and the bounds allow."""
    if norm is L2:
      delta = epsilon * norm.steepest(delta)
    return project(image + delta, image)

  def tiling(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """The side of the first squares, and how many there are beneath and beside each other."""
    side = max(1, min(shape[:2]) // 5)
    return side, shape[0] // side, shape[1] // side

  def count(shape: tuple[int, ...]) -> int:
    _, down, across = tiling(shape)
    return max(down * across * (1 + shape[2]), 5 + shape[2])

  def start(numbers: Array, image: Array) -> Array:
    height, width, channels = image.shape
    side, *tiles = tiling(image.shape)
    numbers = numbers[: math.prod(tiles) * (1 + channels)].reshape(*tiles, 1 + channels)
    turned, signs = numbers[..., :1] < 0.5, _signs(numbers[..., 1:], image)
    i, j = jnp.mgrid[:side, :side]
    upright, lying = (pair_of_pyramids(*axes, side)[..., None] for axes in ((i, j), (j, i)))
    upright, lying = (jnp.tile(unit(pair), (*tiles, 1)) for pair in (upright, lying))
    turned, signs = (_enlarged(a, side) for a in (turned, signs))
    pattern = signs * jnp.where(turned, lying, upright)
    rest = (height - pattern.shape[0], width - pattern.shape[1])
    margins = [(r // 2, r - r // 2) for r in rest]
    return filling(epsilon * jnp.pad(pattern, [*margins, (0, 0)]), image)

  def update(numbers: Array, image: Array, current: Array, side: Array) -> Array:
    channels = image.shape[2]
    delta = current - image
    corner = _corner(numbers[:2], image, side)
    target = _inside(image, corner, side)
    source = _inside(image, _corner(numbers[2:4], image, side), side)
    i, j = (a - b for a, b in zip(_coordinates(image), corner, strict=True))
    turned, signs = numbers[4] < 0.5, _signs(numbers[5 : 5 + channels][None, None], image)
    pair = pair_of_pyramids(jnp.where(turned, j, i), jnp.where(turned, i, j), side)
    mixed = signs * unit(pair[..., None]) + unit(jnp.where(target, delta, 0))
    # What the ball has left, and what stands in both windows, is spent on the first of them.
    power = 1 if norm is L1 else 2
    unused = jnp.maximum(epsilon**power - norm.length(delta) ** power, 0)
    windows = lengths(jnp.where(target | source, delta, 0))
    budget = (windows**power + unused / channels) ** (1 / power)
    spent = budget * unit(mixed * target.astype(mixed.dtype))
    moved = jnp.where(target, spent, jnp.where(source, 0, delta))
    return filling(moved, image)

  def side(share: Array, size: tuple[int, ...]) -> Array:
    # Odd and at least 3, so that each pyramid has a top.
    smallest_side = min(size)
    largest = smallest_side - 1 + smallest_side % 2
    return jnp.clip(_side(share, size) // 2 * 2 + 1, min(3, largest), largest)

  return Updates(count, start, update, side)


def pair_of_pyramids(i: Array, j: Array, side: Array | int) -> Array:
  """A pyramid and a negative one beneath it, in a square of this side; 0 outside.

  i and j are coordinates from the square's corner. At distance d from its top, in the maximum
  norm, a pyramid has the height 1 / (d+1)^2 + ... + 1 / (n+1)^2, where n = floor(side / 2).

  Source: equation 2 of the paper.
  """
  half = side // 2
  summits = jnp.cumsum(1 / jnp.arange(1.0, max(i.shape) + 2) ** 2)
  heights = jnp.concatenate([jnp.zeros(1), summits])

  def pyramid(i: Array, rows: Array | int) -> Array:
    distance = jnp.maximum(jnp.abs(i - rows // 2), jnp.abs(j - half))
    inside = (i >= 0) & (i < rows) & (j >= 0) & (j < side)
    height = heights[half + 1] - heights[jnp.clip(distance, 0, half + 1)]
    solid = jnp.where(inside, height, 0)
    return _divided(solid, jnp.sqrt(jnp.sum(solid**2)))

  return pyramid(i, half) - pyramid(i - half, side - half)


def _coordinates(image: Array) -> tuple[Array, Array]:
  i, j = jnp.mgrid[: image.shape[0], : image.shape[1]]
  return i, j


def _corner(numbers: Array, image: Array, side: Array) -> tuple[Array, Array]:
  """The upper left pixel of a square, any that lies within the image, by two numbers in [0, 1)."""
  places = jnp.array(image.shape[:2]) - side + 1
  top, left = jnp.floor(numbers * places.astype(numbers.dtype)).astype(int)
  return top, left


def _signs(numbers: Array, image: Array) -> Array:
  return jnp.where(numbers < 0.5, -1, 1).astype(image.dtype)


def _inside(image: Array, corner: tuple[Array, Array], side: Array) -> Array:
  """Whether each pixel lies in a square, [H, W, 1]."""
  i, j = (a - b for a, b in zip(_coordinates(image), corner, strict=True))
  return ((i >= 0) & (i < side) & (j >= 0) & (j < side))[..., None]


def _side(share: Array, size: tuple[int, ...]) -> Array:
  return jnp.round(jnp.sqrt(share * size[0] * size[1])).astype(int)


def _enlarged(tiles: Array, side: int) -> Array:
  return jnp.repeat(jnp.repeat(tiles, side, axis=0), side, axis=1)


def _divided(v: Array, by: Array) -> Array:
  return v / jnp.where(by > 0, by, 1)
