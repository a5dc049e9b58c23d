"""Accuracy against epsilon, for each attack: one compiled call gives a whole curve."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attacks import get_attack
from robust_saliency.core import LogitsFn, checks
from robust_saliency.data import Dataset
from robust_saliency.studies.batches import Evaluator, Networks, PerExample, first_examples, key_for


def robustness(
  networks: Networks,
  dataset: Dataset,
  key: Array,
  *,
  attacks: Mapping[str, Mapping[str, Any]],
  epsilons: Sequence[float],
  examples: int | None = None,
  batch_size: int = 250,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """Which test examples each network still classifies correctly under attack.

  Args:
    networks: name -> one trained network per seed.
    dataset: its test split is attacked, within its bounds.
    key: fixes the attacks' random starts.
    attacks: name -> an attack's config; "label" is what the report calls it. Epsilon is left out.
    epsilons: the radii, each measured with the same keys.
    examples: how many test examples, from the first; None for all.
    batch_size: examples per call; each is attacked at all epsilons at once.

  Returns:
    arrays {"correct": bool [A, M, S, E, N]} and facts {"models", "attacks", "epsilons"}.
  """
  checks.non_negative(epsilons=epsilons)
  test = first_examples(dataset.test, examples)
  x = dataset.to_float(test.x)
  radii = jnp.asarray(epsilons, jnp.float32)
  correct = []
  for name, settings in attacks.items():
    evaluate = Evaluator(
      _predictions_under(attack_on(dataset, settings), radii), batch_size=batch_size
    )
    attack_key = key_for(key, name)
    correct.append(
      [
        [(evaluate(network, attack_key, x, test.y) == test.y[:, None]).T for network in of_seeds]
        for of_seeds in networks.values()
      ]
    )
  facts = {
    "models": list(networks),
    "attacks": [describe_attack(name, settings) for name, settings in attacks.items()],
    "epsilons": [float(e) for e in epsilons],
  }
  return {"correct": np.array(correct)}, facts


def attack_on(dataset: Dataset, settings: Mapping[str, Any]) -> Callable[..., Array]:
  """An attack of a config, within the data set's pixel bounds."""
  hyper_parameters = {name: value for name, value in settings.items() if name != "label"}
  return get_attack({"bounds": dataset.bounds, **hyper_parameters})


def describe_attack(name: str, settings: Mapping[str, Any]) -> dict[str, str]:
  """What a report says of an attack."""
  return {
    "name": name,
    "label": settings.get("label", name),
    "norm": settings.get("norm", "linf"),
  }


def _predictions_under(attack: Callable[..., Array], radii: Array) -> PerExample:
  def predictions(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
    def at(epsilon: Array) -> Array:
      return jnp.argmax(logits_fn(attack(keys, logits_fn, x, y, epsilon=epsilon)), axis=-1)

    return jax.vmap(at, out_axes=1)(radii)

  return predictions
