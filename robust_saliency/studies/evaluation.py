"""A careful evaluation of each network: strong attacks, the worst case, and what looks wrong."""

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
from absl import logging
from jax import Array

from robust_saliency.attacks import autoattack_members, evaluate_attacks
from robust_saliency.attacks.evaluation.autoattack import VERSIONS
from robust_saliency.core import Attack, checks
from robust_saliency.data import Dataset
from robust_saliency.studies.batches import Networks, first_examples, key_for
from robust_saliency.studies.robustness import attack_on

AUTOATTACK = "autoattack"
AUTOATTACK_SETTINGS = ("version", "steps", "targets", "queries")


def evaluation(
  networks: Networks,
  dataset: Dataset,
  key: Array,
  *,
  attacks: Mapping[str, Mapping[str, Any]],
  epsilon: float,
  norm: str = "linf",
  examples: int | None = None,
  batch_size: int = 100,
  probed: int = 100,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """Which test examples stand which attack at one radius, and the warnings of a careful evaluator.

  Args:
    networks: name -> one trained network per seed.
    dataset: its test split is attacked, within its bounds.
    key: fixes the attacks' random numbers.
    attacks: name -> an attack's config, or {"name": "autoattack", "version", "steps", "targets",
      "queries"} (all but the name optional); "label" is what the report calls it. An attack in
      another norm, or without a radius, is judged like all others: what it leaves outside the ball
      does not count.
    epsilon: radius of the ball.
    norm: its norm.
    examples: how many test examples, from the first; None for all.
    batch_size: examples per call, over all devices.
    probed: examples on which `attacks.pitfalls` are looked for.

  Returns:
    arrays {"correct": bool [M, S, N], "robust": bool [A, M, S, N]} and facts {"models", "attacks",
    "epsilon", "norm", "warnings": {model: {name: [sentence]}} of the first seed}.
  """
  chosen = evaluated_attacks(dataset, attacks, epsilon=epsilon, norm=norm)
  test = first_examples(dataset.test, examples)
  x = dataset.to_float(test.x)
  found = {
    name: [
      evaluate_attacks(
        key_for(key, "evaluation"),
        network.logits_fn,
        x,
        test.y,
        attacks=chosen,
        norm=norm,
        epsilon=epsilon,
        bounds=dataset.bounds,
        batch_size=batch_size,
        probed=probed,
        count=False,
        say=functools.partial(logging.info, f"{name}: %s"),
      )
      for network in of_seeds
    ]
    for name, of_seeds in networks.items()
  }
  arrays = {
    "correct": np.array([[one.correct for one in of_seeds] for of_seeds in found.values()]),
    "robust": np.array(
      [
        [[one.verdicts[attack].robust for one in of_seeds] for of_seeds in found.values()]
        for attack in chosen
      ]
    ),
  }
  facts = {
    "models": list(networks),
    "attacks": [
      {"name": name, "label": settings.get("label", name)} for name, settings in attacks.items()
    ],
    "epsilon": float(epsilon),
    "norm": norm,
    "warnings": {name: of_seeds[0].warnings for name, of_seeds in found.items()},
  }
  return arrays, facts


def evaluated_attacks(
  dataset: Dataset, settings: Mapping[str, Mapping[str, Any]], *, epsilon: float, norm: str
) -> dict[str, Attack | Mapping[str, Attack]]:
  """The attacks of an evaluation's config, all hyper-parameters bound.

  Raises:
    ValueError, TypeError: for an unknown attack or setting, or one that is missing.
  """
  bound: dict[str, Attack | Mapping[str, Attack]] = {}
  for name, of_attack in settings.items():
    checks.mapping(**{f"attacks[{name!r}]": of_attack})
    if of_attack.get("name") != AUTOATTACK:
      with checks.naming(f"attacks[{name!r}]"):
        bound[name] = attack_on(dataset, of_attack, norm=norm, epsilon=epsilon)
      continue
    numbers = {field: value for field, value in of_attack.items() if field not in ("name", "label")}
    for field in numbers:
      checks.one_of(field, AUTOATTACK_SETTINGS, argument=f"setting of attack {AUTOATTACK!r}")
    checks.one_of(numbers.get("version", "standard"), VERSIONS, argument="version")
    bound[name] = autoattack_members(
      len(dataset.classes), epsilon=epsilon, norm=norm, bounds=dataset.bounds, **numbers
    )
  return bound
