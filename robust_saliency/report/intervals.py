"""How sure a mean accuracy is: 95 % intervals over seeds, or over examples if there is one seed."""

import dataclasses

import numpy as np
from scipy import special

from robust_saliency.studies.estimates import CONFIDENCE, half_width


@dataclasses.dataclass(frozen=True)
class Accuracy:
  """Mean accuracies with their 95 % intervals, arrays of one shape, fractions in [0, 1]."""

  mean: np.ndarray
  low: np.ndarray
  high: np.ndarray


def accuracy(correct: np.ndarray) -> Accuracy:
  """The mean accuracy and its 95 % interval.

  With several seeds Student's t interval of the mean over the seeds' accuracies, clipped to
  [0, 1]: it says how far another set of trained networks might differ. With one seed nothing is
  known about that; then Wilson's interval over the examples, which says how far another test set
  might differ.

  Args:
    correct: whether each example was classified correctly, bool [..., seeds, examples].

  Returns:
    The mean and the interval's ends, each of shape [...].

  Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

  >>> two_seeds = accuracy(np.array([[True, True, True, False], [True, True, True, True]]))
  >>> float(two_seeds.mean), float(two_seeds.high)
  (0.875, 1.0)
  """
  correct = np.asarray(correct)
  seeds, examples = correct.shape[-2:]
  per_seed = correct.mean(axis=-1, dtype=np.float64)
  mean = per_seed.mean(axis=-1)
  if seeds > 1:
    half = half_width(per_seed)
    low, high = mean - half, mean + half
  else:
    z = special.ndtri((1 + CONFIDENCE) / 2)
    centre = (mean + z**2 / (2 * examples)) / (1 + z**2 / examples)
    spread = np.sqrt(mean * (1 - mean) / examples + z**2 / (4 * examples**2))
    half = z * spread / (1 + z**2 / examples)
    low, high = centre - half, centre + half
  return Accuracy(mean, np.clip(low, 0, 1), np.clip(high, 0, 1))


def name(seeds: int, examples: int) -> str:
  """What the interval is, in words.

  >>> name(3, 360)
  '95 % interval over 3 seeds (Student’s t)'
  >>> name(1, 1000)
  '95 % interval over 1,000 examples of one seed (Wilson)'
  """
  if seeds > 1:
    return f"95 % interval over {seeds} seeds (Student’s t)"
  return f"95 % interval over {examples:,} examples of one seed (Wilson)"
