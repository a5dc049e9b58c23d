"""What follows from networks of a family in the order of their numbers: slopes, plateaus, ends."""

from collections.abc import Mapping, Sequence

import numpy as np


def derived(
  arrays: Mapping[str, np.ndarray],
  models: Sequence[str],
  families: Mapping[str, Mapping[str, float]],
  *,
  drop: float,
) -> dict[str, np.ndarray]:
  """The arrays of `Response` that follow from what was measured.

  Args:
    arrays: "clean" and "attacked" [model, seed, example], "mean_square" [target, model, seed]; NaN
      where a network has diverged.
    models: their names.
    families: family -> network -> its number.
    drop: see `Response`.
  """
  clean, attacked, mean_square = (arrays[name] for name in ("clean", "attacked", "mean_square"))
  number = np.int8 if attacked.dtype == bool else np.float64
  slopes, plateaus, of_largest, gaps = [], [], [], []
  for ours in families.values():
    order = sorted(ours, key=ours.__getitem__)
    places, decades = [models.index(name) for name in order], np.log10([ours[one] for one in order])
    accuracy = attacked[places].mean(axis=-1)  # [place, seed]
    slopes.append(np.apply_along_axis(slope, 1, mean_square[:, places], decades))
    plateaus.append([plateau(of_seed, decades, drop) for of_seed in accuracy.T])
    of_largest.append(clean[places[-1]])
    gaps.append(clean[places[-1]].astype(number) - attacked[places[-1]])
  return {
    "slope": np.stack(slopes, axis=1),
    "plateau": np.array(plateaus),
    "clean_at_largest": np.stack(of_largest),
    "gap_at_largest": np.stack(gaps),
  }


def slope(values: np.ndarray, decades: np.ndarray) -> float:
  """By how many decades positive values change per decade of the number, by least squares.

  >>> float(slope(np.array([1.0, 0.1, 0.01]), np.array([0.0, 0.5, 1.0])))
  -2.0
  """
  if len(decades) < 2 or not (values > 0).all():
    return np.nan
  logs, centred = np.log10(values), decades - decades.mean()
  return float(centred @ (logs - logs.mean()) / (centred @ centred))


def plateau(accuracy: np.ndarray, decades: np.ndarray, drop: float) -> float:
  """Over how many decades around its highest point a curve stays within a drop of it.

  Args:
    accuracy: at these decades, straight between them [P].
    decades: ascending [P].
    drop: how far below the highest point it may be.

  Returns:
    The width, cut at the first and the last decade; NaN where a point is missing.

  >>> float(plateau(np.array([0.5, 0.7, 0.6]), np.array([0.0, 1.0, 2.0]), 0.05))
  0.75
  """
  if not np.isfinite(accuracy).all():
    return np.nan
  peak = int(accuracy.argmax())
  level = accuracy[peak] - drop
  right = _reach(accuracy[peak:], decades[peak:], level)
  left = _reach(accuracy[peak::-1], -decades[peak::-1], level)
  return right + left


def _reach(accuracy: np.ndarray, decades: np.ndarray, level: float) -> float:
  """How far a curve goes from its first point before it falls below a level."""
  below = np.flatnonzero(accuracy < level)
  if not below.size:
    return float(decades[-1] - decades[0])
  end = int(below[0])
  share = (accuracy[end - 1] - level) / (accuracy[end - 1] - accuracy[end])
  return float(decades[end - 1] + share * (decades[end] - decades[end - 1]) - decades[0])
