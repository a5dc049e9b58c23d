"""From numbers of single images to maps of classes, and how far the images decide them."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions import AGGREGATIONS
from robust_saliency.results.uncertainty import mean_of_known


class Values(NamedTuple):
  """One number for each part of each image.

  Attributes:
    numbers: [N, d], LIME's coefficients, say; 0 for what an image lacks.
    occurs: bool [N, d], which of them count as an occurrence of their feature.
    classes: the explained class of each image, int [N].
    features: which shared feature each part belongs to, int [N, d]; None where part j is feature j.
  """

  numbers: np.ndarray
  occurs: np.ndarray
  classes: np.ndarray
  features: np.ndarray | None = None

  def take(self, rows: np.ndarray) -> "Values":
    """Those of some images, rows of any shape [...]: arrays [..., d] and [...]."""
    features = None if self.features is None else self.features[rows]
    return Values(self.numbers[rows], self.occurs[rows], self.classes[rows], features)


def aggregated(
  rule: str, values: Values, *, classes: int, features: int, per_class: bool = True
) -> np.ndarray:
  """The importance of each feature, [K, F], or [F] for all classes together.

  Args:
    rule: a name of `attributions.local.AGGREGATIONS`.
    values: of images; whatever axes stand before theirs stay in front.
    classes: K.
    features: F.
    per_class: whether classes are kept apart.
  """
  one_of_each = functools.partial(
    AGGREGATIONS[rule], classes=classes, per_class=per_class, num_features=features
  )

  def of_images(numbers: Array, occurs: Array, labels: Array, places: Array | None = None) -> Array:
    return one_of_each(numbers, labels, occurs=occurs, features=places)

  apply: Callable[..., Array] = of_images
  for _ in range(values.numbers.ndim - 2):
    apply = jax.vmap(apply)
  numbers, occurs, labels, places = values
  given = [numbers, occurs, labels, *([] if places is None else [places])]
  return np.asarray(apply(*map(jnp.asarray, given)))


def rank_correlations(first: np.ndarray, second: np.ndarray) -> np.ndarray:
  """Spearman's correlation of each of K maps with each of K others.

  Args:
    first: [..., K, F].
    second: likewise.

  Returns:
    [..., K, K]; NaN for maps that are the same everywhere.

  >>> rank_correlations(np.array([[1.0, 2, 3]]), np.array([[1.0, 4, 9], [3.0, 2, 1]])).tolist()
  [[1.0, -1.0]]
  """
  from scipy.stats import rankdata  # takes a fifth of a command's start

  def standardised(maps: np.ndarray) -> np.ndarray:
    ranks = rankdata(maps, axis=-1)
    ranks = ranks - ranks.mean(axis=-1, keepdims=True)
    lengths = np.sqrt((ranks**2).sum(axis=-1, keepdims=True))
    return ranks / np.where(lengths > 0, lengths, np.nan)

  return standardised(first) @ np.swapaxes(standardised(second), -1, -2)


class Agreement(NamedTuple):
  """How alike maps from disjoint halves of the images are.

  Attributes:
    same: the mean correlation of both halves' maps of one class.
    others: that of one half's map of a class and the other half's of another class.
  """

  same: float
  others: float


def agreement(
  rule: str, values: Values, *, size: int, draws: int, classes: int, shown: np.ndarray, seed: int
) -> Agreement:
  """Spearman's correlation of class maps from disjoint halves of the images.

  Args:
    rule: as of `aggregated`.
    values: of all images.
    size: explanations of each class in a half; classes with fewer than twice as many are left out.
    draws: how often halves are drawn.
    classes: K.
    shown: bool [F], the features that count.
    seed: of the draws.

  Returns:
    NaN where no class has as many images, or no two classes have.
  """
  random = np.random.default_rng(seed)
  rows_of = [np.flatnonzero(values.classes == c) for c in range(classes)]
  enough = [c for c, rows in enumerate(rows_of) if len(rows) >= 2 * size]
  if not enough:
    return Agreement(np.nan, np.nan)
  drawn = np.array(
    [[random.permutation(rows_of[c])[: 2 * size] for c in enough] for _ in range(draws)]
  )
  halves = [
    aggregated(rule, values.take(of_half.reshape(draws, -1)), classes=classes, features=len(shown))
    for of_half in np.split(drawn, 2, axis=-1)
  ]
  first, second = (maps[:, enough][..., shown].astype(np.float64) for maps in halves)
  found = rank_correlations(first, second)
  own = np.eye(len(enough), dtype=bool)
  same, others = (float(mean_of_known(found[:, one].reshape(-1))) for one in (own, ~own))
  return Agreement(float(same), float(others))
