"""The transfer matrix: adversarial examples made for one network, tested on every other."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.core import LogitsFn, checks
from robust_saliency.data import Dataset
from robust_saliency.studies.batches import (
  Evaluator,
  Networks,
  first_examples,
  key_for,
  predict,
)
from robust_saliency.studies.robustness import attack_on, describe_attack


def transfer(
  networks: Networks,
  dataset: Dataset,
  key: Array,
  *,
  attack: Mapping[str, Any],
  epsilons: Sequence[float],
  examples: int | None = None,
  overlap: Mapping[str, Any] | None = None,
  batch_size: int = 250,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """Accuracy of every network on the examples made for every network of the same seed.

  Args:
    networks: name -> one trained network per seed.
    dataset: its test split is attacked, within its bounds.
    key: fixes the attack's random starts.
    attack: an attack's config; "label" is what the report calls it.
    epsilons: the radii.
    examples: how many test examples, from the first; None for all.
    overlap: {"models": three networks, "epsilon": one of the radii}: the report counts which of
      their examples fool which of them together.
    batch_size: examples per call; each is attacked at all epsilons at once.

  Returns:
    arrays {"correct": bool [S, E, M made for, M tested on, N]} and facts {"models", "attack",
    "epsilons"} and, where it is given, "overlap".

  Raises:
    ValueError: for an overlap of other than three of the networks, or at another radius.

  Source: Ross & Doshi-Velez 2018, figures 1, 3 and 10.
  """
  if overlap is not None:
    check_overlap(overlap, list(networks), epsilons)
  checks.non_negative(epsilons=epsilons)
  test = first_examples(dataset.test, examples)
  x = dataset.to_float(test.x)
  bound_attack = attack_on(dataset, attack, later=("epsilon",))
  radii = jnp.asarray(epsilons, jnp.float32)

  def make(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
    return jax.vmap(
      lambda epsilon: bound_attack(keys, logits_fn, x, y, epsilon=epsilon), out_axes=1
    )(radii)

  make_examples = Evaluator(make, batch_size=batch_size)
  test_examples = Evaluator(predict, batch_size=batch_size)
  attack_key = key_for(key, "transfer")
  by_seed = list(zip(*networks.values(), strict=True))
  shape = (len(by_seed), len(epsilons), len(networks), len(networks), len(test))
  correct = np.zeros(shape, bool)
  for s, of_this_seed in enumerate(by_seed):
    for source, made_for in enumerate(of_this_seed):
      x_adv = make_examples(made_for, attack_key, x, test.y)
      for target, tested_on in enumerate(of_this_seed):
        # One radius at a time: a network may look at its whole batch, as local contrast
        # normalisation over a batch does.
        for e in range(len(epsilons)):
          predicted = test_examples(tested_on, attack_key, x_adv[:, e], test.y)
          correct[s, e, source, target] = predicted == test.y
  facts = {
    "models": list(networks),
    "attack": describe_attack("transfer", attack),
    "epsilons": [float(e) for e in epsilons],
  }
  if overlap is not None:
    facts["overlap"] = {"models": list(overlap["models"]), "epsilon": float(overlap["epsilon"])}
  return {"correct": correct}, facts


def check_overlap(
  overlap: Mapping[str, Any], models: Sequence[str], epsilons: Sequence[float]
) -> None:
  """Refuses an overlap that could not be drawn, in a sentence."""
  names = list(overlap.get("models", ()))
  if len(set(names)) != 3:
    raise ValueError(f"models of overlap must be three networks, got {names}")
  for name in names:
    checks.one_of(name, models, argument="model of overlap")
  if not np.isclose(overlap.get("epsilon", np.nan), epsilons).any():
    raise ValueError(
      f"epsilon of overlap must be one of {list(epsilons)}, got {overlap.get('epsilon')}"
    )
