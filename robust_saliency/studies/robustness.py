"""Accuracy against epsilon, for each attack: one compiled call gives a whole curve."""

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attacks.registry import bind_attack, norm_of
from robust_saliency.core import LogitsFn, checks
from robust_saliency.data import Dataset
from robust_saliency.studies.batches import Evaluator, Networks, PerExample, first_examples, key_for
from robust_saliency.training import TrainedNetwork

PRECISIONS = {"float32": np.float32, "float64": np.float64}


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
    attacks: name -> an attack's config, without epsilon; "label" is what the report calls it,
      and two settings show whether a defence merely makes gradients underflow: "temperature"
      divides the logits that the attack sees (default 1), and "precision" is "float32" or
      "float64", in which the attack and the network then compute.
    epsilons: the radii, each measured with the same keys.
    examples: how many test examples, from the first; None for all.
    batch_size: examples per call; each is attacked at all epsilons at once.

  Returns:
    arrays {"correct": bool [A, M, S, E, N]} and facts {"models", "attacks", "epsilons"}.
  """
  checks.non_negative(epsilons=epsilons)
  test = first_examples(dataset.test, examples)
  x = dataset.to_float(test.x)
  correct = []
  for name, settings in attacks.items():
    attack, dtype = attack_and_precision(dataset, settings)
    evaluate = Evaluator(_predictions_under(attack, epsilons), batch_size=batch_size)
    attack_key = key_for(key, name)
    images: np.ndarray = x.astype(dtype)
    with jax.enable_x64(dtype is np.float64):
      correct.append(
        [
          [
            (test.y == evaluate(_in_precision(network, dtype), attack_key, images, test.y).T)
            for network in of_seeds
          ]
          for of_seeds in networks.values()
        ]
      )
  facts = {
    "models": list(networks),
    "attacks": [describe_attack(name, settings) for name, settings in attacks.items()],
    "epsilons": [float(e) for e in epsilons],
  }
  return {"correct": np.array(correct)}, facts


def attack_on(
  dataset: Dataset,
  settings: Mapping[str, Any],
  *,
  norm: str | None = None,
  epsilon: float | None = None,
  later: Collection[str] = (),
) -> Callable[..., Array]:
  """An attack of a study, within the data set's pixel bounds, on logits at its temperature.

  Args:
    dataset: gives the bounds.
    settings: an attack's config; "label" is what the report calls it, and "temperature" divides
      the logits that it sees.
    norm: as of `attacks.registry.bind_attack`.
    epsilon: as of `bind_attack`.
    later: as of `bind_attack`; ("epsilon",) where the study gives the radii.

  Raises:
    ValueError, TypeError: for an unknown attack or setting, one that is missing, or one that the
      study gives.
  """
  checks.mapping(**{"settings of attack": settings})
  temperature = settings.get("temperature", 1.0)
  checks.scalar(temperature=temperature)
  checks.positive(temperature=temperature)
  checks.text(label=settings.get("label", "none"))
  attack = bind_attack(
    _without(settings, "label", "temperature"),
    bounds=dataset.bounds,
    norm=norm,
    epsilon=epsilon,
    later=later,
  )
  if temperature == 1:
    return attack

  def tempered(key: Array, logits_fn: LogitsFn, x: Array, y: Array, **rest: Any) -> Array:
    return attack(key, lambda images: logits_fn(images) / temperature, x, y, **rest)

  return tempered


def attack_and_precision(
  dataset: Dataset, settings: Mapping[str, Any]
) -> tuple[Callable[..., Array], type]:
  """An attack of a robustness study, and the floating-point type in which it computes.

  Raises:
    ValueError, TypeError: for an unknown precision, attack or setting.
  """
  checks.mapping(**{"settings of attack": settings})
  precision = settings.get("precision", "float32")
  checks.one_of(precision, PRECISIONS, argument="precision")
  attack = attack_on(dataset, _without(settings, "precision"), later=("epsilon",))
  return attack, PRECISIONS[precision]


def describe_attack(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
  """What a report says of an attack."""
  return {
    "name": name,
    "label": settings.get("label", name),
    "norm": norm_of(settings),
    **{field: settings[field] for field in ("precision", "temperature") if field in settings},
  }


def _without(settings: Mapping[str, Any], *names: str) -> dict[str, Any]:
  return {name: value for name, value in settings.items() if name not in names}


def _in_precision(network: TrainedNetwork, dtype: type) -> TrainedNetwork:
  variables = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), network.variables)
  return dataclasses.replace(network, variables=variables)


def _predictions_under(attack: Callable[..., Array], epsilons: Sequence[float]) -> PerExample:
  def predictions(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
    def at(epsilon: Array) -> Array:
      return jnp.argmax(logits_fn(attack(keys, logits_fn, x, y, epsilon=epsilon)), axis=-1)

    return jax.vmap(at, out_axes=1)(jnp.asarray(epsilons, x.dtype))

  return predictions
