"""What claims ask of all targets or radii: where curves cross, how far they lie apart or fall."""

import numpy as np

from robust_saliency.results import CONFIDENCE, critical_value, halves


def derived(correct: np.ndarray, epsilons: tuple[float, ...]) -> dict[str, np.ndarray]:
  """All arrays of `Transfer` that follow from `correct` alone."""
  highest, spread = highest_and_spread(correct)
  return {
    "largest_drop": largest_drop(correct, epsilons),
    "highest": highest,
    "spread": spread,
    "crossing": crossings(correct, epsilons),
  }


def crossings(correct: np.ndarray, epsilons: tuple[float, ...]) -> np.ndarray:
  """The radius from which on one network is the more accurate of two, see `crossing`.

  Which of two is more accurate at a radius is told by the images where McNemar's test tells it:
  where near 0, or once all images are lost, curves lie together, they cross by chance.

  Args:
    correct: bool [seed, epsilon, source, target, example], or float with NaN.
    epsilons: the radii, in any order.

  Returns:
    float64 [source, target, rival, seed].
  """
  order = np.argsort(epsilons)
  radii = np.asarray(epsilons, np.float64)[order]
  seeds, _, sources, targets, images = correct.shape
  found = np.full((sources, targets, targets, seeds), np.nan)
  for i, j, k, s in np.ndindex(found.shape):
    if j != k:
      ours, theirs = correct[s, order, i, j], correct[s, order, i, k]
      apart = ours.astype(np.float64) - theirs
      noise = critical_value(CONFIDENCE) * np.sqrt(np.abs(apart).sum(axis=1)) / images
      found[i, j, k, s] = crossing(apart.mean(axis=1), noise, radii)
  return found


def crossing(differences: np.ndarray, noise: np.ndarray, radii: np.ndarray) -> float:
  """Where a curve that is straight between radii goes from below 0 to above.

  Args:
    differences: the curve at these radii [E].
    noise: how far from 0 it must be there for its sign to be told [E].
    radii: ascending [E].

  Returns:
    The radius: where the curve is 0 between the last radius of the one sign and the first of the
    other, the mean where it is 0 more than once there. NaN where the signs that are told do not
    change, change more than once, or only downwards.

  >>> round(crossing(np.array([-0.1, -0.1, 0.3]), np.zeros(3), np.array([0.2, 0.3, 0.4])), 3)
  0.325
  """
  told = np.flatnonzero(np.abs(differences) > noise)
  signs = np.sign(differences[told])
  turns = np.flatnonzero(signs[:-1] != signs[1:])
  if not np.isfinite(differences).all() or len(turns) != 1 or signs[0] > 0:
    return np.nan
  between = slice(told[turns[0]], told[turns[0] + 1] + 1)
  d, r = differences[between], radii[between]
  turn = d[:-1] * d[1:] < 0
  share = d[:-1][turn] / (d[:-1] - d[1:])[turn]
  return float(np.concatenate([r[:-1][turn] + share * np.diff(r)[turn], r[d == 0]]).mean())


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
