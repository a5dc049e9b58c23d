"""Matched comparison: is a network more robust than others of its gradient norm, or accuracy?"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import ClassVar

import flax.linen as nn
import jax
import numpy as np
from jax import Array

from robust_saliency.attributions import gradient
from robust_saliency.core import LogitsFn, checks, get_norm
from robust_saliency.core.settings import Count, Names
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import Evaluator, Networks, first_examples, key_for, predict
from robust_saliency.studies.matched import page
from robust_saliency.studies.matched.interpolation import gap
from robust_saliency.studies.methods import Attacks, attack_on, describe_attack
from robust_saliency.studies.study import Measured, Study

# What networks are matched by.
MATCHED_BY = ("gradient norm", "clean accuracy")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Matched(Study):
  """Accuracy under attacks, against a curve of networks that differ in one number alone.

  A network with small input gradients is harder to fool, whatever else has been done to it. So the
  curve's networks, penalised for the size of their gradients and for nothing else, say how much of
  another network's robustness its gradient norm explains; and at its clean accuracy, whether the
  plain penalty would have bought as much for the same price.

  Attributes:
    along: the networks of the curve, two at least, in the order of their penalty. The curve is
      straight between neighbours, seed by seed; where it turns back and passes a network's place
      more than once, it is read where it is most accurate.
    attacks: name -> an attack's settings, its epsilon among them; "label" is what the report calls
      it.
    examples: how many test examples are attacked, from the first; None for all. The clean accuracy
      by which networks are matched is that of the whole test set, and the norms are of these.
    batch_size: examples per call.

  Arrays, compared the networks that are not on the curve:
    clean: bool [model, seed, example], whether it is classified correctly, of the whole test set.
    robust: bool [attack, model, seed, example], likewise under attack.
    gradient_norm: ||d f_y(x) / dx||_2 of the true class's logit in evaluation mode, float32 [model,
      seed, example].
    gap: float64 [matched, attack, compared, seed, example], by how much `robust` exceeds the curve
      at the network's own mean gradient norm, or at its own clean accuracy; its mean is a
      difference of accuracies. NaN where the curve does not reach: nothing is extrapolated.
  """

  kind: ClassVar[str] = "matched"

  along: Names
  attacks: Attacks
  examples: Count | None = None
  batch_size: Count = 250

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    return Layout(
      {
        **dict.fromkeys(("clean", "gradient_norm"), ("model", "seed", "example")),
        "robust": ("attack", "model", "seed", "example"),
        "gap": ("matched", "attack", "compared", "seed", "example"),
      },
      {
        "matched": MATCHED_BY,
        "attack": tuple(self.attacks),
        "model": networks,
        "compared": tuple(name for name in networks if name not in self.along),
        "seed": seeds,
      },
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    methods = {}
    for name, settings in self.attacks.items():
      with checks.naming(f"attacks.{name}"):
        methods[f"attacks.{name}"] = attack_on(dataset, settings)
    return methods

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    first_examples(dataset.test, self.examples)
    for name in self.along:
      checks.one_of(name, modules, argument="along")
    if len(self.along) < 2:
      raise ValueError(f"along must have two networks at least, got {', '.join(self.along)}")
    if set(modules) <= set(self.along):
      raise ValueError("models must have a network that is not in along, got none")
    super().check(modules, dataset)

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    test = first_examples(dataset.test, self.examples)
    x = dataset.to_float(test.x)
    every = dataset.to_float(dataset.test.x)
    read = Evaluator(predict, batch_size=self.batch_size)
    length = Evaluator(_gradient_norm, batch_size=self.batch_size)

    def of_each(measure: Callable[..., np.ndarray]) -> np.ndarray:
      return np.array([[measure(one) for one in of_seeds] for of_seeds in networks.values()])

    def under(name: str, attack: Callable[..., Array]) -> np.ndarray:
      def predictions(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
        return predict(keys, logits_fn, attack(keys, logits_fn, x, y), y)

      evaluate = Evaluator(predictions, batch_size=self.batch_size)
      return of_each(lambda one: evaluate(one, key_for(key, name), x, test.y) == test.y)

    methods = {n: attack_on(dataset, one) for n, one in self.attacks.items()}
    arrays = {
      "clean": of_each(lambda one: read(one, key, every, dataset.test.y) == dataset.test.y),
      "gradient_norm": of_each(lambda one: length(one, key, x, test.y)),
      "robust": np.array([under(name, attack) for name, attack in methods.items()]),
    }
    return {**arrays, "gap": self._gaps(arrays, tuple(networks))}, {
      "along": list(self.along),
      "attacks": [
        {**describe_attack(name, one), "epsilon": one.get("epsilon")}
        for name, one in self.attacks.items()
      ],
    }

  def after_divergence(self, result: Result, networks: Networks) -> Result:
    """See `Study.after_divergence`."""
    gaps = self._gaps(result.arrays, tuple(networks))
    return dataclasses.replace(result, arrays={**result.arrays, "gap": gaps})

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result, styles)

  def _gaps(self, arrays: Mapping[str, np.ndarray], models: tuple[str, ...]) -> np.ndarray:
    curve = [models.index(name) for name in self.along]
    compared = [m for m, name in enumerate(models) if name not in self.along]
    norms = np.asarray(arrays["gradient_norm"], np.float64).mean(axis=-1)
    accuracies = np.asarray(arrays["clean"], np.float64).mean(axis=-1)
    robust = arrays["robust"]
    shape = (len(MATCHED_BY), len(robust), len(compared), *robust.shape[2:])
    gaps = np.empty(shape)
    for by, places in enumerate((norms, accuracies)):
      for a, c, s in np.ndindex(*shape[1:4]):
        own = compared[c]
        of_curve = robust[a, curve, s]
        gaps[by, a, c, s] = gap(robust[a, own, s], places[own, s], of_curve, places[curve, s])
    return gaps


def _gradient_norm(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
  length = jax.vmap(get_norm("l2").length)
  return length(gradient(keys, logits_fn, x, y, score="logit"))
