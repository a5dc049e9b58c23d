"""Numbers of targeted images: how many reach their target, how large their strokes are."""

import numpy as np
from scipy import ndimage

TOUCHING = np.ones((3, 3))  # a pixel touches its eight neighbours
PLACINGS = 10


def target_rate(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """The share of each original's targets that are predicted, its own class left out.

  Per original, since images that are made of one original are not independent.

  Args:
    predictions: [..., N, K].
    labels: of the originals [N].

  Returns:
    float64 [..., N].

  >>> target_rate(np.array([[0, 1, 2], [0, 1, 1]]), np.array([0, 1])).tolist()  # of classes 0 and 1
  [1.0, 0.5]
  """
  targets = np.arange(predictions.shape[-1])
  led = labels[:, None] != targets
  reached = ((predictions == targets) & led).sum(axis=-1)
  rates: np.ndarray = reached / led.sum(axis=-1)
  return rates


def stroke_size(adversarial: np.ndarray, images: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """The pixels of a mean connected group of changed ones, the mean over each original's targets.

  Args:
    adversarial: uint8 [N, K, H, W, C].
    images: the originals, uint8 [N, H, W, C].
    labels: theirs [N].

  Returns:
    float64 [N]; an image without a change counts as 0.

  >>> led = np.zeros((1, 2, 4, 4, 1), np.uint8)
  >>> led[0, 1, [0, 1, 3], [0, 1, 3]] = 255  # two pixels that touch at a corner, and one apart
  >>> stroke_size(led, np.zeros((1, 4, 4, 1), np.uint8), np.array([0])).tolist()
  [1.5]
  """
  changed = (adversarial != images[:, None]).any(axis=-1)
  sizes = [
    [group.sum() / max(ndimage.label(group, TOUCHING)[1], 1) for group in of_image]
    for of_image in changed
  ]
  led = labels[:, None] != np.arange(adversarial.shape[1])
  mean: np.ndarray = np.mean(sizes, axis=1, where=led)
  return mean


def stroke_ratio(
  adversarial: np.ndarray, images: np.ndarray, labels: np.ndarray, *, seed: int
) -> np.ndarray:
  """How many times as large a mean connected group of changed pixels is as by chance.

  Groups grow with the number of pixels, strokes or not. So as many pixels are placed at random,
  `PLACINGS` times, among those that could have been changed: that were changed, or lie below the
  upper bound. The same image and target have the same draws, whichever network they were made for.

  Args:
    adversarial: uint8 [N, K, H, W, C].
    images: the originals, uint8 [N, H, W, C].
    labels: theirs [N].
    seed: fixes the draws.

  Returns:
    float64 [N], the mean over each original's targets; an image without a change counts as 1.

  >>> led = np.zeros((1, 2, 9, 9, 1), np.uint8)
  >>> led[0, 1, 0] = 255  # one line of nine
  >>> line = stroke_ratio(led, np.zeros((1, 9, 9, 1), np.uint8), np.array([0]), seed=0)
  >>> bool(line[0] > 3)
  True
  """
  changed = (adversarial != images[:, None]).any(axis=-1)
  free = changed | (images[:, None] < 255).any(axis=-1)
  led = labels[:, None] != np.arange(adversarial.shape[1])
  ratios = np.ones(led.shape)
  for n, k in zip(*np.nonzero(led & changed.any(axis=(2, 3))), strict=True):
    groups = ndimage.label(changed[n, k], TOUCHING)[1]
    random = np.random.default_rng((seed, n, k))
    ratios[n, k] = groups_by_chance(random, free[n, k], int(changed[n, k].sum())) / groups
  mean: np.ndarray = np.mean(ratios, axis=1, where=led)
  return mean


def groups_by_chance(random: np.random.Generator, free: np.ndarray, pixels: int) -> float:
  """How many connected groups pixels make that are placed at random, in the mean.

  Args:
    random: where the draws come from.
    free: where a pixel may lie, bool [H, W].
    pixels: how many are placed, at most as many as are free.

  >>> groups_by_chance(np.random.default_rng(0), np.eye(4) > 0, 4)  # a diagonal that touches
  1.0
  """
  places = np.flatnonzero(free)
  order = random.random((PLACINGS, len(places))).argsort(axis=1)[:, :pixels]
  placed = np.zeros((PLACINGS, free.size), bool)
  np.put_along_axis(placed, places[order], True, axis=1)
  # Pixels touch within a placing, not from one to the next.
  touching = np.zeros((3, 3, 3))
  touching[1] = TOUCHING
  return ndimage.label(placed.reshape(PLACINGS, *free.shape), touching)[1] / PLACINGS
