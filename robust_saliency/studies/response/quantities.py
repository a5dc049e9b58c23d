"""What follows from networks of a family in the order of their numbers: slopes, plateaus, ends."""

from collections.abc import Mapping, Sequence

import numpy as np


def derived(
  arrays: Mapping[str, np.ndarray],
  models: Sequence[str],
  families: Mapping[str, Mapping[str, float]],
  *,
  drop: float,
  loss: float,
) -> dict[str, np.ndarray]:
  """The arrays of `Response` that follow from what was measured.

  Args:
    arrays: "clean" and "attacked" [model, seed, example], "mean_square" [target, model, seed]; NaN
      where a network has diverged.
    models: their names.
    families: family -> network -> its number.
    drop: see `Response`.
    loss: see `Response`.
  """
  clean, attacked, mean_square = (arrays[name] for name in ("clean", "attacked", "mean_square"))
  slopes, plateaus, collapses, gaps = [], [], [], []
  for ours in families.values():
    order = sorted(ours, key=ours.__getitem__)
    places, decades = [models.index(name) for name in order], np.log10([ours[one] for one in order])
    # [place, seed]
    of_clean, of_attacked = (one[places].mean(axis=-1) for one in (clean, attacked))
    slopes.append(np.apply_along_axis(slope, 1, mean_square[:, places], decades))
    plateaus.append([plateau(of_seed, decades, drop) for of_seed in of_attacked.T])
    collapses.append([collapse(of_seed, decades, loss) for of_seed in of_clean.T])
    gap = clean[places[-1]].astype(np.float64) - attacked[places[-1]]
    gap[~(of_clean[-1] < of_clean[0] - loss)] = np.nan
    gaps.append(gap)
  return {
    "slope": np.stack(slopes, axis=1),
    "plateau": np.array(plateaus),
    "collapse": np.array(collapses),
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
    The width; NaN where a point is missing, or the curve never leaves it to one of the sides.

  >>> float(plateau(np.array([0.5, 0.7, 0.6]), np.array([0.0, 1.0, 2.0]), 0.05))
  0.75
  """
  if not np.isfinite(accuracy).all():
    return np.nan
  peak = int(accuracy.argmax())
  level = accuracy[peak] - drop
  right = falls_below(accuracy[peak:], decades[peak:], level)
  left = falls_below(accuracy[peak::-1], -decades[peak::-1], level)
  return right + left


def collapse(accuracy: np.ndarray, decades: np.ndarray, loss: float) -> float:
  """From which decade on a network has lost some accuracy against that of the smallest number.

  >>> float(collapse(np.array([0.9, 0.9, 0.5]), np.array([0.0, 1.0, 2.0]), 0.1))
  1.25
  """
  return falls_below(accuracy, decades, accuracy[0] - loss)


def falls_below(values: np.ndarray, places: np.ndarray, level: float) -> float:
  """Where a curve that is straight between places first falls below a level, NaN for nowhere.

  Args:
    values: at these places, the first one above the level.
    places: ascending.
    level: the level.
  """
  below = np.flatnonzero(values < level)
  if not below.size or not np.isfinite(values).all():
    return np.nan
  end = int(below[0])
  share = (values[end - 1] - level) / (values[end - 1] - values[end])
  return float(places[end - 1] + share * (places[end] - places[end - 1]))
