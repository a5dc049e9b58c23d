"""Numbers of targeted images: how many reach their target, how large their strokes are."""

import numpy as np
from scipy import ndimage


def target_rate(
  predictions: np.ndarray, labels: np.ndarray, *, asked: np.ndarray | None = None
) -> np.ndarray:
  """The share of each original's targets that are predicted, its own class left out.

  Per original, since images that are made of one original are not independent.

  Args:
    predictions: [M source networks, M target networks, N, K].
    labels: of the originals [N].
    asked: which networks may count among the others, bool [M]; None for all.

  Returns:
    float64 [M, M + 1, N], the mean over the other networks last, NaN where none is asked; [1, 1, N]
    of one network.

  >>> led = np.array([[0, 1, 2]])  # an image of class 0, classified as each of its targets by both
  >>> target_rate(np.array([[led, led], [led, 0 * led]]), np.array([0]))[..., 0].tolist()
  [[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]]
  """
  models, _, _, classes = predictions.shape
  led = labels[:, None] != np.arange(classes)
  reached = ((predictions == np.arange(classes)) & led).sum(axis=-1)
  rates: np.ndarray = reached / led.sum(axis=-1)
  if models == 1:
    return rates
  others = ~np.eye(models, dtype=bool) & (True if asked is None else asked)
  means = [
    reached[m, others[m]].mean(axis=0) / led.sum(axis=-1)
    if others[m].any()
    else np.full(len(labels), np.nan)
    for m in range(models)
  ]
  return np.concatenate([rates, np.stack(means)[:, None]], axis=1)


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
  touching = np.ones((3, 3))
  sizes = [
    [group.sum() / max(ndimage.label(group, touching)[1], 1) for group in of_image]
    for of_image in changed
  ]
  led = labels[:, None] != np.arange(adversarial.shape[1])
  mean: np.ndarray = np.mean(sizes, axis=1, where=led)
  return mean
