"""What claims ask of all targets or radii: where curves cross, how far they lie apart or fall."""

import numpy as np

from robust_saliency.results import halves


def derived(correct: np.ndarray, epsilons: tuple[float, ...]) -> dict[str, np.ndarray]:
  """All arrays of `Transfer` that follow from `correct` alone."""
  highest, spread = highest_and_spread(correct)
  return {
    "largest_drop": largest_drop(correct, epsilons),
    "highest": highest,
    "spread": spread,
    "crossing": crossings(correct, epsilons),
  }


def crossings(correct: np.ndarray, radii: tuple[float, ...]) -> np.ndarray:
  """The radius from which on one network is the more accurate of two, see `crossing`.

  Args:
    correct: bool [seed, epsilon, source, target, example], or float with NaN.
    radii: the epsilons.

  Returns:
    float64 [source, target, rival, seed].
  """
  order = np.argsort(radii)
  ascending = np.asarray(radii, np.float64)[order]
  # [source, target, seed, epsilon]
  curves = correct.mean(axis=-1, dtype=np.float64)[:, order].transpose(2, 3, 0, 1)
  differences = curves[:, :, None] - curves[:, None, :]
  return np.apply_along_axis(crossing, -1, differences, ascending)


def crossing(differences: np.ndarray, radii: np.ndarray) -> float:
  """Where a curve that is straight between radii goes from below 0 to above.

  Args:
    differences: the curve at these radii [E].
    radii: ascending [E].

  Returns:
    The radius, the middle of those where the curve is 0. NaN where it never crosses 0, crosses it
    more than once, or only downwards.

  >>> float(crossing(np.array([-0.1, -0.1, 0.3]), np.array([0.2, 0.3, 0.4])).round(3))
  0.325
  """
  places = np.flatnonzero(differences)
  signs = np.sign(differences[places])
  turns = np.flatnonzero(signs[:-1] != signs[1:])
  if not np.isfinite(differences).all() or len(turns) != 1 or signs[0] > 0:
    return np.nan
  below, above = places[turns[0]], places[turns[0] + 1]
  if above - below > 1:
    return (radii[below + 1] + radii[above - 1]) / 2
  share = differences[below] / (differences[below] - differences[above])
  return radii[below] + share * (radii[above] - radii[below])


def highest_and_spread(correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """The most accurate target of each source's examples, and its lead over the least accurate one.

  Args:
    correct: bool [seed, epsilon, source, target, example], or float with NaN where a network has
      diverged; it is not chosen.

  Returns:
    Both [seed, epsilon, source, half of the examples]: targets are chosen on the first, third, ...
    image by all seeds together, and are what these arrays show on the images between them.

  >>> correct = np.zeros((1, 1, 1, 2, 4), bool)
  >>> correct[..., 1, :2] = True
  >>> [one.tolist() for one in highest_and_spread(correct)]
  [[[[[True, False]]]], [[[[1, 0]]]]]
  """
  choosing, judging = halves(correct)
  accuracy = choosing.mean(axis=(0, -1))  # [epsilon, source, target]
  known = np.isfinite(accuracy)

  def of_target(place: np.ndarray) -> np.ndarray:
    return np.take_along_axis(judging, place[None, :, :, None, None], axis=3)[:, :, :, 0]

  highest = of_target(np.where(known, accuracy, -np.inf).argmax(axis=-1))
  lowest = of_target(np.where(known, accuracy, np.inf).argmin(axis=-1))
  number = np.int8 if correct.dtype == bool else correct.dtype
  return highest, highest.astype(number) - lowest.astype(number)


def largest_drop(correct: np.ndarray, epsilons: tuple[float, ...]) -> np.ndarray:
  """What a source's examples cost the target and radius that lose most, see `Transfer`.

  Args:
    correct: bool [seed, epsilon, source, target, example], or float with NaN where a network has
      diverged; it is not chosen.
    epsilons: the radii.

  Returns:
    int8 [seed, source, half of the examples], or float with NaN for sources without any target.

  >>> correct = np.ones((1, 2, 1, 1, 6), bool)
  >>> correct[0, 1, 0, 0, :4] = False
  >>> largest_drop(correct, (0.0, 0.1)).tolist()
  [[[1, 1, 0]]]
  """
  smallest = int(np.argmin(epsilons))
  drops = correct[:, smallest, None].astype(np.float64) - correct
  choose, judge = halves(drops)
  _, radii, sources, targets, _ = drops.shape
  # [source, epsilon and target]
  lost = choose.mean(axis=(0, 4)).swapaxes(0, 1).reshape(sources, -1)
  known = np.isfinite(lost)
  radius, target = np.unravel_index(np.where(known, lost, -np.inf).argmax(axis=1), (radii, targets))
  made = np.stack([judge[:, radius[i], i, target[i]] for i in range(sources)], axis=1)
  made[:, ~known.any(axis=1)] = np.nan
  return made.astype(np.int8) if np.isfinite(made).all() else made
