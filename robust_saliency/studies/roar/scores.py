"""What curves of accuracy against the removed fraction come to."""

from collections.abc import Mapping, Sequence

import numpy as np


def area_over_control(
  accuracy: np.ndarray, control: np.ndarray, fractions: np.ndarray, *, keeps: bool
) -> np.ndarray:
  """The area between two curves over fractions from 0 to 1, where both begin and end alike.

  Args:
    accuracy: of a map's retrainings [..., F].
    control: of random pixels' [..., F].
    fractions: that were removed [F], in any order.
    keeps: True for KAR, whose curve is better above the control; False for ROAR, below it.

  Returns:
    [...], by the trapezoid rule.

  Source: Kim, Seo & Jeon 2019, their code's scores; their end points cancel in the difference.

  >>> float(area_over_control(np.array([0.4]), np.array([0.6]), np.array([0.5]), keeps=False))
  0.1
  """
  order = np.argsort(fractions)
  gained = (accuracy - control if keeps else control - accuracy)[..., order]
  ends = np.zeros((*gained.shape[:-1], 1))
  places = np.array([0.0, *np.asarray(fractions, np.float64)[order], 1.0])
  return np.trapezoid(np.concatenate([ends, gained, ends], axis=-1), places, axis=-1)


def slopes(
  score: np.ndarray,
  clean: np.ndarray,
  models: Sequence[str],
  families: Mapping[str, Mapping[str, float]],
) -> dict[str, np.ndarray]:
  """The arrays `slope` and `tradeoff` of `Roar`, [protocol, map, family, seed].

  Args:
    score: [protocol, map, model, seed].
    clean: accuracies of the explained networks [model, seed].
    models: their names.
    families: family -> network -> its number.
  """
  found: dict[str, list[np.ndarray]] = {"slope": [], "tradeoff": []}
  for family in families.values():
    places = [models.index(name) for name in family]
    numbers = np.array([*family.values()], np.float64)[:, None]
    of_family = score[..., places, :]
    found["slope"].append(_slope(np.broadcast_to(numbers, of_family.shape[-2:]), of_family))
    found["tradeoff"].append(_slope(clean[places], of_family))
  return {name: np.stack(arrays, axis=-2) for name, arrays in found.items()}


def _slope(places: np.ndarray, values: np.ndarray) -> np.ndarray:
  """By how much values [..., P, S] grow with places [P, S], by least squares: [..., S]."""
  centred = places - places.mean(axis=0)
  spread = (centred**2).sum(axis=0)
  grown = (centred * (values - values.mean(axis=-2, keepdims=True))).sum(axis=-2)
  return np.where(spread > 0, grown, np.nan) / np.where(spread > 0, spread, 1.0)
