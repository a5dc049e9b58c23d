"""Measures of images and maps: who reads a targeted attack's class, and what maps are like."""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from robust_saliency import results as statistics
from robust_saliency.core import checks
from robust_saliency.results import Estimate
from robust_saliency.studies.look_up import find, index
from robust_saliency.studies.map_quality import NUMBERS
from robust_saliency.studies.result import StudyResult


def target_rate(
  results: Mapping[str, StudyResult], *, study: str, model: str, tested_on: str | None = None
) -> Estimate:
  """How many of the images made for a model a network reads as their target.

  Per original image, the share of its targets, since images made of one original are not
  independent. Untouched images (target = label) do not count. With `tested_on` None the mean over
  all other networks: the transfer hit-rate, which is high where the attack draws what everybody
  takes for the target. It nears 1 for any network where nothing holds the image near its start
  (15 steps of 0.1 on MNIST), so that networks are better told apart by fewer steps.

  Of the first seed's networks, the only ones that such a study leads images for.

  Source: Ross & Doshi-Velez 2018 judge figures 5 and 11 by eye; other networks are asked instead.
  """
  rates, targets = _target_rates(results, study, model, tested_on)
  return statistics.rate(rates[None], images_each=targets)


def target_rate_gap(
  results: Mapping[str, StudyResult],
  *,
  study: str,
  model: str,
  baseline: str,
  tested_on: str | None = None,
) -> Estimate:
  """How much more often a model's images are read as their target than a baseline's.

  With `tested_on` None each one's by all networks but itself.
  """
  (ours, targets), (theirs, _) = (
    _target_rates(results, study, name, tested_on) for name in (model, baseline)
  )
  return statistics.rate_difference(ours[None], theirs[None], images_each=targets)


def stroke_size_gap(
  results: Mapping[str, StudyResult], *, study: str, model: str, baseline: str
) -> Estimate:
  """How much larger the connected groups of pixels are that an attack changes for a model.

  The size, in pixels, of a mean group (touching, diagonally too) in the images made for the model,
  less that in those made for the baseline; per original image the mean over its targets. Strokes
  are few large groups, scattered pixels many small ones.

  Source: Ross & Doshi-Velez 2018 judge figure 5 by eye.
  """
  result = find(results, study, "targeted")
  ours, theirs = (_stroke_sizes(result, name) for name in (model, baseline))
  return statistics.mean((ours - theirs)[None], units="originals")


def _target_rates(
  results: Mapping[str, StudyResult], study: str, model: str, tested_on: str | None
) -> tuple[np.ndarray, int]:
  """The rates [N], and of how many targets each is."""
  result = find(results, study, "targeted")
  models = result.facts["models"]
  readers = [tested_on] if tested_on is not None else [name for name in models if name != model]
  if not readers:
    raise ValueError(f"tested_on must be given where the study has one network, got {study!r}")
  labels, targets = result.arrays["labels"][:, None], result.arrays["targets"]
  made_for = result.arrays["predictions"][index(result, "models", model)]
  read_by = made_for[[index(result, "models", reader) for reader in readers]]
  others = labels != targets
  counts = ((read_by == targets) & others).sum(axis=-1).mean(axis=0)
  return counts / others.sum(axis=-1), int(others.sum(axis=-1).min())


def _stroke_sizes(result: StudyResult, model: str) -> np.ndarray:
  made = result.arrays["adversarial"][index(result, "models", model)]
  changed = (made != result.arrays["images"][:, None]).any(axis=-1)
  touching = np.ones((3, 3))
  sizes = [
    [group.sum() / max(ndimage.label(group, touching)[1], 1) for group in of_image]
    for of_image in changed
  ]
  others = result.arrays["labels"][:, None] != result.arrays["targets"]
  return np.mean(sizes, axis=1, where=others)


def map_quality_gap(
  results: Mapping[str, StudyResult], *, study: str, model: str, baseline: str, number: str
) -> Estimate:
  """How much larger a number of one model's maps is than of another's, on the same images.

  Over the images on which neither's map is zero; NaN where there is none.

  Args:
    results: the studies' results by name.
    study: one of kind "map_quality".
    model: the model.
    baseline: what it is compared with.
    number: "total_variation", "gini" or "alignment".
  """
  result = find(results, study, "map_quality")
  checks.one_of(number, NUMBERS, argument="number")
  ours, theirs = (
    result.arrays[number][index(result, "models", name)].astype(np.float64)
    for name in (model, baseline)
  )
  return statistics.mean(ours - theirs)
