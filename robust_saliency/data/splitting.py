"""Splits that keep the classes' proportions and depend on a seed alone."""

import dataclasses

import numpy as np

from robust_saliency.core import checks
from robust_saliency.data.dataset import Dataset, Split


def stratified(y: np.ndarray, examples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
  """Draws positions so that every class is drawn in its proportion.

  Class k gives `examples * n_k / N`, rounded down; what rounding leaves goes to the classes with
  the largest remainders, the first of equals first.

  Args:
    y: classes, int [N].
    examples: how many to draw, at least 1 and fewer than N.
    seed: which draw. NumPy keeps the stream of `RandomState` fixed for ever, and that of its
      newer generators not, so a seed means the same split on every version.

  Returns:
    (rest, drawn): positions, int [N - examples] and [examples], both ascending.

  >>> rest, drawn = stratified(np.array([0, 0, 1, 1, 1, 1]), examples=3, seed=0)
  >>> np.array([0, 0, 1, 1, 1, 1])[drawn].tolist()
  [0, 1, 1]
  """
  checks.count(examples=examples)
  if examples >= len(y):
    raise ValueError(f"examples must be fewer than the {len(y)} there are, got {examples}")
  random = np.random.RandomState(seed)
  classes, counts = np.unique(y, return_counts=True)
  shares, remainders = np.divmod(counts * examples, len(y))
  shares[np.argsort(-remainders, kind="stable")[: examples - shares.sum()]] += 1
  drawn = np.zeros(len(y), bool)
  for label, share in zip(classes, shares, strict=True):
    drawn[random.permutation(np.flatnonzero(y == label))[:share]] = True
  return np.flatnonzero(~drawn), np.flatnonzero(drawn)


def mixed(split: Split, seed: int) -> Split:
  """A split whose classes lie one after the other in an order drawn once; any other as it is.

  Whoever looks at the first examples, as studies and commands do, should see all classes.

  Args:
    split: as it was stored.
    seed: of the order; see `stratified`.

  >>> one_by_one = Split(np.zeros((6, 1, 1, 1), np.uint8), np.array([0, 0, 0, 1, 1, 1], np.int32))
  >>> mixed(one_by_one, seed=0).y.tolist()
  [1, 0, 0, 1, 0, 1]
  """
  blocks = 1 + np.count_nonzero(np.diff(split.y))
  if blocks == 1 or blocks > len(np.unique(split.y)):
    return split
  return split.take(np.random.RandomState(seed).permutation(len(split)))


def in_mixed_order(dataset: Dataset, seed: int = 0) -> Dataset:
  """A data set whose splits are `mixed`.

  Args:
    dataset: as it was stored.
    seed: of the order; see `stratified`.
  """
  validation = dataset.validation
  return dataclasses.replace(
    dataset,
    train=mixed(dataset.train, seed),
    validation=None if validation is None else mixed(validation, seed),
    test=mixed(dataset.test, seed),
  )


def hold_out(dataset: Dataset, examples: int, seed: int = 0) -> Dataset:
  """Moves a stratified part of the training images to the validation split.

  Args:
    dataset: a set that has no validation split yet.
    examples: how many images to move.
    seed: which images; the same seed always gives the same ones.

  Returns:
    The set with `examples` images fewer in `train`, and these in `validation`. Both stay in the
    set's own order.

  Raises:
    ValueError: where there is a validation split, or where no training image would remain.

  >>> from robust_saliency.data.digits import digits
  >>> held_out = hold_out(digits(), examples=200)
  >>> len(held_out.train), len(held_out.validation), len(held_out.test)
  (1097, 200, 500)
  """
  if dataset.validation is not None:
    raise ValueError(
      f"{dataset.name} has a validation split of {len(dataset.validation)} images already; "
      "hold out from a set that has none"
    )
  rest, drawn = stratified(dataset.train.y, examples, seed)
  return dataclasses.replace(
    dataset, train=dataset.train.take(rest), validation=dataset.train.take(drawn)
  )
