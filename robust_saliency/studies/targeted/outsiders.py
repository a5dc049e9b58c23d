"""Readers that are no networks: fitted to the training images in closed form, the same every time.

A network may read another's adversarial images as their targets because the two were trained
alike. These have nothing in common with either but the data.
"""

from collections.abc import Callable, Iterator

import numpy as np

from robust_saliency.data import Dataset

NEAREST, LINEAR = "nearest neighbour", "linear classifier"
OUTSIDERS = (NEAREST, LINEAR)

Reader = Callable[[np.ndarray], np.ndarray]  # images [N, H, W, C] -> classes [N]

AT_ONCE = 4096
PENALTY = 1.0


def outsiders(dataset: Dataset) -> dict[str, Reader]:
  """Both readers of a data set, by name."""
  return {NEAREST: nearest_neighbour(dataset), LINEAR: linear_classifier(dataset)}


def nearest_neighbour(dataset: Dataset) -> Reader:
  """Reads an image as the class of the nearest training image in l2, the first of equals."""

  def read(x: np.ndarray) -> np.ndarray:
    flat = x.reshape(len(x), -1)
    least, found = np.full(len(x), np.inf), np.zeros(len(x), np.int64)
    for images, labels in _in_parts(dataset):
      # The image's own length is the same for all.
      distance = (images**2).sum(axis=1) - 2 * flat @ images.T
      nearest = distance.argmin(axis=1)
      smallest = distance[np.arange(len(x)), nearest]
      closer = smallest < least
      found[closer], least[closer] = labels[nearest[closer]], smallest[closer]
    return found

  return read


def linear_classifier(dataset: Dataset) -> Reader:
  """Reads an image as the class of the highest score of a ridge regression on the classes.

  W = (X' X + a I)^-1 X' Y with a = 1, of images X and classes Y (one column each, 1 or 0), both
  minus their means.
  """
  classes, images = np.arange(len(dataset.classes)), len(dataset.train)
  sums = [x.sum(axis=0, dtype=np.float64) for x, _ in _in_parts(dataset)]
  mean_x = np.sum(sums, axis=0) / images
  mean_y = (dataset.train.y[:, None] == classes).mean(axis=0)
  squares, products = np.zeros((len(mean_x),) * 2), np.zeros((len(mean_x), len(classes)))
  for x, y in _in_parts(dataset):
    centred = x - mean_x
    squares += centred.T @ centred
    products += centred.T @ ((y[:, None] == classes) - mean_y)
  weights = np.linalg.solve(squares + PENALTY * np.eye(len(mean_x)), products)

  def read(x: np.ndarray) -> np.ndarray:
    scores = (x.reshape(len(x), -1) - mean_x) @ weights + mean_y
    return scores.argmax(axis=1)

  return read


def _in_parts(dataset: Dataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
  """The training images [n, pixels], float32, and their labels, a few at a time."""
  train = dataset.train
  for first in range(0, len(train), AT_ONCE):
    part = train.take(slice(first, first + AT_ONCE))
    yield dataset.to_float(part.x).reshape(len(part), -1), part.y
