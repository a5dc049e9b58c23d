"""A measured number and its 95 % interval."""

from typing import NamedTuple

import numpy as np
from scipy import special

CONFIDENCE = 0.95


class Estimate(NamedTuple):
  """A measured number, the ends of its 95 % interval, and what the interval is over."""

  value: float
  low: float
  high: float
  over: str


def half_width(values: np.ndarray) -> np.ndarray:
  """Half of Student's 95 % interval of the mean of independent values.

  Args:
    values: at least two along the last axis, [..., units].

  Returns:
    float64 [...].

  >>> float(half_width(np.array([1.0, 2.0, 3.0])).round(2))
  2.48
  """
  values = np.asarray(values, np.float64)
  units = values.shape[-1]
  error = values.std(axis=-1, ddof=1) / np.sqrt(units)
  return special.stdtrit(units - 1, (1 + CONFIDENCE) / 2) * error


def mean_interval(values: np.ndarray) -> tuple[float, float, float]:
  """Mean and Student's 95 % interval of independent values; infinite for a single one.

  >>> mean_interval(np.array([1.0, 2.0, 3.0]))
  (2.0, -0.48, 4.48)
  """
  values = np.asarray(values, np.float64)
  mean = float(values.mean())
  if len(values) < 2:
    return mean, -np.inf, np.inf
  half = float(half_width(values))
  return mean, mean - half, mean + half


def median_interval(values: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
  """An interval that holds the median of independent values with at least this probability.

  Between two of the ordered values, whatever their distribution; infinite for too few of them.

  >>> median_interval(np.arange(100.0))
  (39.0, 60.0)
  """
  ordered = np.concatenate([[-np.inf], np.sort(values), [np.inf]])
  # The number of values below the median is binomial.
  at_most = special.bdtr(np.arange(len(values) + 1), len(values), 0.5)
  first = int(np.searchsorted(at_most, (1 - confidence) / 2))
  return float(ordered[first]), float(ordered[len(values) + 1 - first])


def mean_estimate(values: np.ndarray, units: str = "test examples") -> Estimate:
  """The mean of [S, N], its interval over seeds or, for one seed, over the N units."""
  seeds = len(values)
  per_unit = values.mean(axis=1) if seeds > 1 else values[0]
  over = f"{seeds} seeds" if seeds > 1 else f"{values.shape[1]:,} {units}, one seed"
  return Estimate(*mean_interval(per_unit), over)
