"""Choosing a hyper-parameter on the validation split: the most robust that stays accurate."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from absl import logging
from jax import Array

from robust_saliency.core import LogitsFn, checks
from robust_saliency.data import Dataset
from robust_saliency.studies.batches import Evaluator, Networks, first_examples, key_for, predict
from robust_saliency.studies.robustness import attack_on, describe_attack

KIND = "selection"


def selection(
  networks: Networks,
  dataset: Dataset,
  key: Array,
  *,
  families: Mapping[str, Mapping[str, float]],
  reference: str,
  source: str,
  attack: Mapping[str, Any],
  epsilon: float,
  keep: float = 0.97,
  examples: int | None = None,
  batch_size: int = 250,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """Chooses, of networks that differ in one number, the one that black-box attacks hurt least.

  Eligible are those that keep a share of the undefended network's accuracy. From then on the
  family's name stands for the chosen network, in studies and claims.

  Args:
    networks: name -> one trained network per seed.
    dataset: its validation split is used, within its bounds.
    key: fixes the attack's random numbers.
    families: what the chosen network will be called -> {candidate: its number}.
    reference: the network whose accuracy must be kept.
    source: the network that the adversarial examples are made for, the same for all candidates.
    attack: an attack's config; "label" is what the report calls it.
    epsilon: its radius.
    keep: share of the reference's accuracy that a candidate must reach, in [0, 1].
    examples: how many validation examples, from the first; None for all.
    batch_size: examples per call.

  Returns:
    arrays {"clean": bool [M, S, N], "attacked": bool [M, S, N]} and facts {"models": the reference
    and the candidates, "families", "chosen": {family: candidate}, "eligible": [candidate],
    "reference", "source", "attack", "epsilon", "keep"}. Where no candidate of a family is eligible,
    its most accurate one is chosen.

  Raises:
    ValueError: if the data set has no validation split.

  Source: Ross & Doshi-Velez 2018, section "Experiments": the highest black-box FGSM accuracy among
  those within 3 % of the undefended accuracy.
  """
  validation = first_examples(dataset.validation_for(f"a study of kind {KIND}"), examples)
  x = dataset.to_float(validation.x)
  bound_attack = attack_on(dataset, attack, later=("epsilon",))

  def make(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
    return bound_attack(keys, logits_fn, x, y, epsilon=jnp.asarray(epsilon, x.dtype))

  make_examples = Evaluator(make, batch_size=batch_size)
  predictions = Evaluator(predict, batch_size=batch_size)
  attack_key = key_for(key, KIND)
  made = [make_examples(network, attack_key, x, validation.y) for network in networks[source]]
  names = compared(reference, families)

  def correct(name: str, images: list[np.ndarray]) -> list[np.ndarray]:
    return [
      predictions(network, key, of_seed, validation.y) == validation.y
      for network, of_seed in zip(networks[name], images, strict=True)
    ]

  clean = np.array([correct(name, [x] * len(made)) for name in names])
  attacked = np.array([correct(name, made) for name in names])
  of_clean = dict(zip(names, clean.mean(axis=(1, 2)).tolist(), strict=True))
  of_attacked = dict(zip(names, attacked.mean(axis=(1, 2)).tolist(), strict=True))
  eligible = [name for name in names[1:] if of_clean[name] >= keep * of_clean[reference]]
  chosen = {
    family: choose(list(candidates), of_clean, of_attacked, eligible)
    for family, candidates in families.items()
  }
  for family, name in chosen.items():
    logging.info("%s is %s from here on", family, name)
  facts = {
    "models": names,
    "families": {family: dict(candidates) for family, candidates in families.items()},
    "chosen": chosen,
    "eligible": eligible,
    "reference": reference,
    "source": source,
    "attack": describe_attack(KIND, attack),
    "epsilon": float(epsilon),
    "keep": float(keep),
  }
  return {"clean": clean, "attacked": attacked}, facts


def compared(reference: str, families: Mapping[str, Mapping[str, float]]) -> list[str]:
  """The networks on the axis of a selection: the reference, and every candidate once."""
  candidates = (name for family in families.values() for name in family)
  return list(dict.fromkeys([reference, *candidates]))


def choose(
  candidates: list[str],
  clean: Mapping[str, float],
  attacked: Mapping[str, float],
  eligible: list[str],
) -> str:
  """The eligible candidate of the highest accuracy under attack, the first of equals.

  >>> clean, attacked = {"a": 0.9, "b": 0.8}, {"a": 0.3, "b": 0.7}
  >>> choose(["a", "b"], clean, attacked, ["a", "b"]), choose(["a", "b"], clean, attacked, ["a"])
  ('b', 'a')
  """
  among = [name for name in candidates if name in eligible]
  return max(among, key=attacked.__getitem__) if among else max(candidates, key=clean.__getitem__)


def check_selection(settings: Mapping[str, Any], models: list[str], dataset: Dataset) -> None:
  """Refuses a selection among networks that do not exist, or of names that are taken.

  Args:
    settings: the study's entry in the config.
    models: the networks that are trained.
    dataset: what it is measured on.

  Raises:
    ValueError: in a sentence that names the setting.
  """
  first_examples(dataset.validation_for(f"a study of kind {KIND}"), settings.get("examples"))
  if "models" in settings:
    raise ValueError("a selection has no models but its families, reference and source")
  for field in ("reference", "source"):
    checks.one_of(settings[field], models, argument=field)
  for family, candidates in settings["families"].items():
    if family in models:
      raise ValueError(f"the family {family!r} must not have a trained model's name")
    if not candidates:
      raise ValueError(f"the family {family!r} needs candidates, got none")
    for name, number in candidates.items():
      checks.one_of(name, models, argument=f"candidate of the family {family!r}")
      checks.scalar(**{f"the number of candidate {name!r}": number})
      checks.non_negative(**{f"the number of candidate {name!r}": number})


def families_of(studies: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
  """Family -> the selection that chooses it, of a config's studies.

  Raises:
    ValueError: if two selections choose one family.
  """
  chosen_by: dict[str, str] = {}
  for name, settings in studies.items():
    checks.mapping(**{f"study {name!r}": settings})
    families = settings.get("families", {})
    checks.mapping(**{f"families of study {name!r}": families})
    for family in families if settings.get("kind") == KIND else ():
      if family in chosen_by:
        raise ValueError(f"studies {chosen_by[family]!r} and {name!r} both choose {family!r}")
      checks.mapping(**{f"family {family!r} of study {name!r}": families[family]})
      chosen_by[family] = name
  return chosen_by
