"""Robustness evaluation: several attacks at one radius, the worst case, and warnings."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import flax.linen as nn
import numpy as np
from absl import logging
from jax import Array

from robust_saliency.attacks import autoattack_members, evaluate_attacks
from robust_saliency.attacks.evaluation.autoattack import VERSIONS
from robust_saliency.core import Attack, checks, files
from robust_saliency.core.settings import Count, CountOrZero, NonNegative
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import Networks, first_examples, key_for
from robust_saliency.studies.evaluation import page
from robust_saliency.studies.methods import Attacks, attack_on, without
from robust_saliency.studies.study import Measured, Study

AUTOATTACK = "autoattack"
AUTOATTACK_SETTINGS = ("version", "steps", "targets", "queries")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Evaluation(Study):
  """Which test examples stay correct under which attack at one radius, and what looks wrong.

  Attributes:
    attacks: name -> an attack's settings, or {"name": "autoattack", "version", "steps", "targets",
      "queries"} (all but the name optional); "label" is what the report calls it. An attack in
      another norm, or without a radius, is judged like all others: what it leaves outside the ball
      does not count.
    epsilon: radius of the ball.
    norm: its norm.
    examples: how many test examples, from the first; None for all.
    batch_size: examples per call, over all devices.
    probed: examples on which `attacks.pitfalls` are looked for.

  Arrays: correct, bool [model, seed, example], without attack, and robust, bool [attack, model,
  seed, example].
  """

  kind: ClassVar[str] = "evaluation"

  attacks: Attacks
  epsilon: NonNegative
  norm: Literal["linf", "l2", "l1"] = "linf"
  examples: Count | None = None
  batch_size: Count = 100
  probed: CountOrZero = 100

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    of_networks = ("model", "seed", "example")
    return Layout(
      {"correct": of_networks, "robust": ("attack", *of_networks)},
      {"attack": tuple(self.attacks), "model": networks, "seed": seeds},
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    methods: dict[str, Callable[..., Array]] = {}
    for name, attack in self._bound(dataset).items():
      members = attack if isinstance(attack, Mapping) else {"": attack}
      for member, one in members.items():
        methods[f"attacks.{name}" + (f" ({member})" if member else "")] = one
    return methods

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    first_examples(dataset.test, self.examples)
    super().check(modules, dataset)

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    attacks = self._bound(dataset)
    test = first_examples(dataset.test, self.examples)
    x = dataset.to_float(test.x)
    found = {
      name: [
        evaluate_attacks(
          key_for(key, "evaluation"),
          network.logits_fn,
          x,
          test.y,
          attacks=attacks,
          norm=self.norm,
          epsilon=self.epsilon,
          bounds=dataset.bounds,
          batch_size=self.batch_size,
          workdir=directory / folder / str(s),
          probed=self.probed,
          count=False,
          say=functools.partial(logging.info, f"{name}: %s"),
        )
        for s, network in enumerate(of_seeds)
      ]
      for (name, of_seeds), folder in zip(
        networks.items(), files.unique_slugs(networks), strict=True
      )
    }
    arrays = {
      "correct": np.array([[one.correct for one in of_seeds] for of_seeds in found.values()]),
      "robust": np.array(
        [
          [[one.verdicts[attack].robust for one in of_seeds] for of_seeds in found.values()]
          for attack in attacks
        ]
      ),
    }
    metadata = {
      "attacks": [
        {"name": name, "label": settings.get("label", name)}
        for name, settings in self.attacks.items()
      ],
      "epsilon": float(self.epsilon),
      "norm": self.norm,
      "warnings": {name: of_seeds[0].warnings for name, of_seeds in found.items()},
    }
    return arrays, metadata

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result)

  def _bound(self, dataset: Dataset) -> dict[str, Attack | Mapping[str, Attack]]:
    """The attacks with all hyper-parameters bound; AutoAttack's as those that it consists of."""
    bound: dict[str, Attack | Mapping[str, Attack]] = {}
    for name, settings in self.attacks.items():
      with checks.naming(f"attacks.{name}"):
        if settings.get("name") == AUTOATTACK:
          bound[name] = self._autoattack(dataset, settings)
        else:
          bound[name] = attack_on(dataset, settings, norm=self.norm, epsilon=self.epsilon)
    return bound

  def _autoattack(self, dataset: Dataset, settings: Mapping[str, Any]) -> Mapping[str, Attack]:
    checks.text(label=settings.get("label", AUTOATTACK))
    own = without(settings, "name", "label")
    for field in own:
      checks.one_of(
        field, (*AUTOATTACK_SETTINGS, "label"), argument=f"setting of attack {AUTOATTACK!r}"
      )
    checks.one_of(own.get("version", "standard"), VERSIONS, argument="version")
    return autoattack_members(
      len(dataset.classes), epsilon=self.epsilon, norm=self.norm, bounds=dataset.bounds, **own
    )
