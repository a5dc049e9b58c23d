"""What is claimed of distances to a manifold, as arrays that claims compare."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from robust_saliency.results.gates import gate

Panels = Mapping[str, Sequence[str]]
# Of the standard networks' distance, below which natural images must lie.
NEAR = 0.5


def counted(
  fooled: np.ndarray, models: Sequence[str], standards: Sequence[str], panels: Panels
) -> dict[str, np.ndarray]:
  """The images that each panel is judged on: those that succeed against all of its networks.

  Each network's own adversarial examples are of other images, if those are left out that do not
  fool it; its distances would then differ by the images.

  Args:
    fooled: bool [model, N], whether a network's own adversarial example of an image fools it.
    models: the networks.
    standards: those of them that were not trained against attacks.
    panels: panel -> its other networks.

  Returns:
    Panel -> bool [N]; under "" the images that count for the standard networks.
  """
  rows = {"": [*standards], **{panel: [*standards, *of] for panel, of in panels.items()}}
  return {
    panel: np.asarray(fooled[[models.index(one) for one in of]].all(axis=0))
    for panel, of in rows.items()
  }


def mean_over(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
  """Means over the images that count, values [..., N] -> [...]; NaN where none does."""
  return values[..., counted].mean(axis=-1) if counted.any() else values[..., 0] * np.nan


def ratios(adversarial: np.ndarray, standard: np.ndarray, natural: np.ndarray) -> np.ndarray:
  """r = (d - natural) / (standard - natural), which no scale or shift of distances changes.

  >>> float(ratios(np.array(3.0), np.array(5.0), np.array(1.0)))
  0.5
  """
  with np.errstate(divide="ignore", invalid="ignore"):
    return (adversarial - natural) / (standard - natural)


def chance_apart(trained: Sequence[float], standard: Sequence[float]) -> float:
  """How likely standard networks would lie so far above the others if the word meant nothing.

  Of all choices of as many networks, the share whose mean exceeds the mean of the rest by as much:
  the networks' own spread counts, that of the few standard ones, too.

  Args:
    trained: mean distances of networks that were trained against attacks.
    standard: those of the standard networks.

  Returns:
    NaN where a distance is, or where there is only one network of a kind.

  Source: Fisher's permutation test, by SciPy.

  >>> round(chance_apart([1.0, 2.0, 3.0], [4.0, 5.0]), 4)
  0.1
  """
  from scipy import stats  # takes a fifth of a command's start

  if min(len(standard), len(trained)) < 2 or not np.isfinite([*standard, *trained]).all():
    return math.nan
  found = stats.permutation_test(
    (standard, trained),
    lambda ours, theirs, axis: ours.mean(axis=axis) - theirs.mean(axis=axis),
    alternative="greater",
    vectorized=True,
    n_resamples=99_999,  # exact up to so many choices
    rng=np.random.default_rng(0),
  )
  return float(found.pvalue)


def chance_falling(means: Mapping[str, Sequence[float]]) -> float:
  """How likely so many panels would fall with every strength, if all orders were equally likely.

  Exact: of m networks in random order 1 / m! falls strictly, independently in each panel.

  Args:
    means: panel -> its networks' mean distances, the weakest network's first.

  Returns:
    NaN where a mean is.

  >>> round(chance_falling({"a": [3.0, 2.0, 1.0], "b": [3.0, 2.0, 1.0]}), 4)
  0.0278
  >>> round(chance_falling({"a": [3.0, 2.0, 1.0], "b": [1.0, 2.0, 3.0]}), 4)
  0.3056
  """
  if not all(map(math.isfinite, itertools.chain(*means.values()))):
    return math.nan
  falling = sum(all(np.diff(of) < 0) for of in means.values())
  # How likely each number of falling panels is, one panel after the other.
  chances = np.ones(1)
  for of in means.values():
    one = 1 / math.factorial(len(of))
    chances = np.convolve(chances, [1 - one, one])
  return float(chances[falling:].sum())


def gates_of(
  manifolds: Sequence[str], natural: np.ndarray, standard: np.ndarray
) -> list[dict[str, Any]]:
  """Closes to claims what a manifold says that does not know the images.

  Where a distance is NaN nothing is closed: there are no numbers that could be judged.

  Args:
    manifolds: their names.
    natural: mean distances of natural images, [manifold].
    standard: those of the standard networks' adversarial images, [manifold].
  """
  why = (
    f"natural images lie not below {NEAR:g} of the distance of the standard networks’ adversarial "
    "images, so that this VAE-GAN does not know the images well enough"
  )
  return [
    gate(array, why, manifold=name)
    for name, near, far in zip(manifolds, natural, standard, strict=True)
    if near >= NEAR * far
    for array in ("gap", "beyond", "nearer", "chance_apart", "chance_falling")
  ]
