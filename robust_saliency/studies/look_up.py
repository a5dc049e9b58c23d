"""Finding a study among results, and a name or a number on its axes."""

from collections.abc import Mapping

import numpy as np

from robust_saliency.core import checks
from robust_saliency.studies.result import StudyResult


def find(results: Mapping[str, StudyResult], study: str, kind: str) -> StudyResult:
  """The result of a study that must be of this kind."""
  checks.one_of(study, results, argument="study")
  if results[study].kind != kind:
    raise ValueError(f"study must be of kind {kind}, got {study!r} of kind {results[study].kind}")
  return results[study]


def epsilon_index(result: StudyResult, epsilon: float) -> int:
  """Where a radius stands on the axis of epsilons."""
  near = np.flatnonzero(np.isclose(result.facts["epsilons"], epsilon))
  if not len(near):
    raise ValueError(f"epsilon must be one of {result.facts['epsilons']}, got {epsilon}")
  return int(near[0])


def index(result: StudyResult, axis: str, name: str) -> int:
  """Where a name stands on an axis ("models", "targets", ...)."""
  checks.one_of(name, result.facts[axis], argument=axis)
  return result.facts[axis].index(name)


def attack_index(result: StudyResult, attack: str) -> int:
  """Where an attack stands on its axis."""
  attacks = [one["name"] for one in result.facts["attacks"]]
  checks.one_of(attack, attacks, argument="attack")
  return attacks.index(attack)
