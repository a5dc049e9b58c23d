"""Whether a curve rises or falls, in numbers that a single lucky point does not decide."""

import numpy as np

from robust_saliency.results.result import Layout, Result

# The name of the result in which the trends of training stand.
TRENDS = "training trends"
THIRDS, MANN_KENDALL = "last_third_minus_first", "mann_kendall"


def trends(curves: Result) -> Result:
  """Both trends of every curve of a record of training.

  Args:
    curves: with an axis "metric", arrays by the metrics' names, [model, seed, step].

  Returns:
    A result named `TRENDS` with arrays [metric, model, seed], `THIRDS` and `MANN_KENDALL`, of the
    functions below.
  """
  coordinates = curves.layout.coordinates
  metrics, models, seeds = (coordinates[axis] for axis in ("metric", "model", "seed"))
  values = [np.asarray(curves.arrays[metric], np.float64) for metric in metrics]
  found = np.full((2, len(metrics), len(models), len(seeds)), np.nan)
  for i, of_metric in enumerate(values):
    for m, s in np.ndindex(of_metric.shape[:2]):
      found[:, i, m, s] = last_third_minus_first(of_metric[m, s]), mann_kendall(of_metric[m, s])
  layout = trends_layout(curves.layout)
  return Result(TRENDS, curves.kind, layout, dict(zip((THIRDS, MANN_KENDALL), found, strict=True)))


def trends_layout(curves: Layout) -> Layout:
  """The axes of `trends`."""
  axes = dict.fromkeys((THIRDS, MANN_KENDALL), ("metric", "model", "seed"))
  return Layout(axes, {axis: curves.coordinates[axis] for axis in ("metric", "model", "seed")})


def last_third_minus_first(curve: np.ndarray) -> float:
  """The mean of a curve's last third minus that of its first; NaN for fewer than three points.

  Unlike the last point minus the highest, it is 0 in the mean for a constant curve with noise.

  Args:
    curve: [T]; points that are not finite do not count.

  >>> last_third_minus_first(np.array([1.0, 3.0, np.nan, 9.0, 9.0, 0.0, 1.0]))
  -1.5
  """
  measured = curve[np.isfinite(curve)]
  third = len(measured) // 3
  return float(measured[-third:].mean() - measured[:third].mean()) if third else np.nan


def mann_kendall(curve: np.ndarray) -> float:
  """The statistic of Mann and Kendall's test for a trend, normal where there is none.

  S = sum_{i < j} sign(x_j - x_i),  z = (S - sign S) / sqrt(var S),

  var S = (n (n - 1) (2 n + 5) - sum_t t (t - 1) (2 t + 5)) / 18 over groups of t equal values.
  Neighbouring points of one training depend on each other, so that z is larger than by chance.

  Args:
    curve: [T]; points that are not finite do not count.

  Returns:
    z, negative where it falls; NaN for fewer than three points or where all are equal.

  Source: Mann 1945, "Nonparametric tests against trend"; Kendall 1975, "Rank correlation methods".

  >>> round(mann_kendall(np.array([9.0, 5.0, 5.0, 3.0, 1.0])), 2)
  -2.02
  """
  measured = curve[np.isfinite(curve)]
  n = len(measured)
  _, ties = np.unique(measured, return_counts=True)
  variance = (_eighteen_variances(n) - _eighteen_variances(ties).sum()) / 18
  if n < 3 or not variance > 0:
    return np.nan
  score = np.sign(measured[None, :] - measured[:, None])[np.triu_indices(n, 1)].sum()
  return float((score - np.sign(score)) / np.sqrt(variance))


def _eighteen_variances(n: int | np.ndarray) -> np.ndarray:
  return np.asarray(n * (n - 1) * (2 * n + 5), np.float64)
