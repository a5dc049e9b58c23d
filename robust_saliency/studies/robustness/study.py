"""Robust accuracy against epsilon, for each attack."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.core import checks
from robust_saliency.core.settings import Count, Radii
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import Networks, first_examples, key_for
from robust_saliency.studies.methods import Attacks, attack_on, describe_attack, without
from robust_saliency.studies.robustness import page
from robust_saliency.studies.robustness.under_attack import UnderAttack
from robust_saliency.studies.study import Measured, Study
from robust_saliency.training import TrainedNetwork

PRECISIONS = {"float32": np.float32, "float64": np.float64}

# Their restarts differ in nothing but random numbers; FAB's first one starts at the image itself.
RESTARTED = ("apgd", "pgd", "square")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Robustness(Study):
  """Which test examples each network still classifies correctly under each attack.

  Attributes:
    attacks: name -> an attack's settings, without epsilon; "label" is what the report calls it, and
      two settings show whether a defence merely makes gradients underflow: "temperature" divides
      the logits that the attack sees (default 1), and "precision" is "float32" or "float64", in
      which the attack and the network then compute.
    epsilons: the radii, each measured with the same keys.
    examples: how many test examples, from the first; None for all.
    batch_size: examples per call; each is attacked at all epsilons at once.

  Arrays: correct, bool [attack, model, seed, epsilon, example].
  """

  kind: ClassVar[str] = "robustness"
  version: ClassVar[int] = 2

  attacks: Attacks
  epsilons: Radii
  examples: Count | None = None
  batch_size: Count = 250

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    return Layout(
      {"correct": ("attack", "model", "seed", "epsilon", "example")},
      {
        "attack": tuple(self.attacks),
        "model": networks,
        "seed": seeds,
        "epsilon": tuple(self.epsilons),
      },
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    methods = {}
    for name, settings in self.attacks.items():
      with checks.naming(f"attacks.{name}"):
        attack, _ = _attack_and_precision(dataset, settings)
      methods[f"attacks.{name}"] = functools.partial(attack, epsilon=self.epsilons[0])
    return methods

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    first_examples(dataset.test, self.examples)
    super().check(modules, dataset)

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    test = first_examples(dataset.test, self.examples)
    x = dataset.to_float(test.x)
    correct = []
    for name, settings in self.attacks.items():
      restarts = settings.get("restarts", 1) if settings["name"] in RESTARTED else 1
      once = {**settings, "restarts": 1} if restarts > 1 else settings
      attack, dtype = _attack_and_precision(dataset, once)
      under = UnderAttack(
        attack, epsilons=self.epsilons, restarts=restarts, batch_size=self.batch_size
      )
      attack_key = key_for(key, name)
      images: np.ndarray = x.astype(dtype)
      with jax.enable_x64(dtype is np.float64):
        correct.append(
          [
            [
              under(_in_precision(network, dtype), attack_key, images, test.y)
              for network in of_seeds
            ]
            for of_seeds in networks.values()
          ]
        )
    attacks = [describe_attack(name, settings) for name, settings in self.attacks.items()]
    return {"correct": np.array(correct)}, {"attacks": attacks}

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result, styles)


def _attack_and_precision(
  dataset: Dataset, settings: Mapping[str, Any]
) -> tuple[Callable[..., Array], type]:
  """An attack, and the floating-point type in which it computes."""
  precision = settings.get("precision", "float32")
  checks.one_of(precision, PRECISIONS, argument="precision")
  attack = attack_on(dataset, without(settings, "precision"), later=("epsilon",))
  return attack, PRECISIONS[precision]


def _in_precision(network: TrainedNetwork, dtype: type) -> TrainedNetwork:
  variables = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype), network.variables)
  return dataclasses.replace(network, variables=variables)
