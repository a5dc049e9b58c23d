"""Studies with networks whose training has diverged: their numbers are NaN, and nobody else's.

A study measures a network before its first step in the place of one that has diverged, so that no
NaN reaches an attack; what it measured there is then struck out. Studies that show pictures leave
such networks out.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from robust_saliency.studies.batches import Networks
from robust_saliency.studies.map_quality import NUMBERS
from robust_saliency.studies.result import StudyResult
from robust_saliency.studies.selection import KIND as SELECTION
from robust_saliency.studies.selection import choose

# Kind -> array -> its axes: M networks, S seeds, others "-".
AXES = {
  "accuracy": {"correct": "MS-"},
  "robustness": {"correct": "-MS--"},
  "transfer": {"correct": "S-MM-"},
  "gradients": {"lengths": "-MS-", "log_probabilities": "MS--"},
  "evaluation": {"correct": "MS-", "robust": "-MS-"},
  "map_quality": dict.fromkeys((*NUMBERS, "is_zero"), "MS-"),
  SELECTION: {"clean": "MS-", "attacked": "MS-"},
}

# Of the first seed alone.
PICTURES = ("saliency", "targeted")


def run_without_diverged(
  run: Callable[[Networks], StudyResult], kind: str, networks: Networks, stand_ins: Networks
) -> StudyResult | None:
  """Runs a study whose networks may have diverged.

  Args:
    run: networks -> the study's result.
    kind: which study it is.
    networks: name -> one trained network per seed.
    stand_ins: the same, with a network of numbers in the place of each that has diverged.

  Returns:
    The result; facts {"diverged": {model: {seed: why}}} where some have. None where all have.
  """
  reasons = {
    name: {str(one.seed): one.diverged for one in of_seeds if one.diverged}
    for name, of_seeds in networks.items()
  }
  reasons = {name: of_seeds for name, of_seeds in reasons.items() if of_seeds}
  if not reasons:
    return run(networks)
  if kind in PICTURES:
    shown = {name: of_seeds for name, of_seeds in networks.items() if not of_seeds[0].diverged}
    shown = {name: stand_ins[name] for name in shown}
    return with_facts(run(shown), diverged=reasons) if shown else None
  if all(one.diverged for of_seeds in networks.values() for one in of_seeds):
    return None
  result = with_facts(run(stand_ins), diverged=reasons)
  models = result.facts["models"]
  places = [
    (m, s) for m, name in enumerate(models) for s, one in enumerate(networks[name]) if one.diverged
  ]
  arrays = dict(result.arrays)
  for name, axes in AXES[kind].items():
    arrays[name] = struck_out(arrays[name], axes, places)
  result = dataclasses.replace(result, arrays=arrays)
  if kind == "evaluation":
    first = {name: of_seeds[0].diverged for name, of_seeds in networks.items()}
    warnings = {
      name: {"diverged": [first[name]]} if first[name] else of_model
      for name, of_model in result.facts["warnings"].items()
    }
    return with_facts(result, warnings=warnings)
  return _chosen_again(result, networks) if kind == SELECTION else result


def struck_out(values: np.ndarray, axes: str, places: Sequence[tuple[int, int]]) -> np.ndarray:
  """The array in float64 with NaN for some networks.

  Args:
    values: numbers or bools.
    axes: a letter for each axis, see `AXES`.
    places: (network, seed) of those that are struck out, along each of the networks' axes.

  >>> struck_out(np.ones((2, 1, 2), bool), "MS-", [(1, 0)]).tolist()
  [[[1.0, 1.0]], [[nan, nan]]]
  """
  numbers = values.astype(np.float64)
  of_networks = [axis for axis, letter in enumerate(axes) if letter == "M"]
  for axis in of_networks:
    for m, s in places:
      place: list[Any] = [slice(None)] * len(axes)
      place[axis], place[axes.index("S")] = m, s
      numbers[tuple(place)] = np.nan
  return numbers


def with_facts(result: StudyResult, **facts: Any) -> StudyResult:
  """The result with more facts."""
  return dataclasses.replace(result, facts={**result.facts, **facts})


def _chosen_again(result: StudyResult, networks: Networks) -> StudyResult:
  facts = result.facts
  attacked = result.arrays["attacked"]
  attacked[:, [s for s, one in enumerate(networks[facts["source"]]) if one.diverged]] = np.nan
  clean, under_attack = (
    dict(zip(facts["models"], values.mean(axis=(1, 2)).tolist(), strict=True))
    for values in (result.arrays["clean"], attacked)
  )
  least = facts["keep"] * clean[facts["reference"]]
  eligible = [name for name in facts["models"][1:] if clean[name] >= least]
  chosen = {}
  for family, candidates in facts["families"].items():
    whole: Mapping[str, Any] = {n: 0 for n in candidates if not np.isnan(clean[n])}
    chosen[family] = choose(list(whole or candidates), clean, under_attack, eligible)
  return with_facts(result, chosen=chosen, eligible=eligible)
