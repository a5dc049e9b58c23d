"""Response: what a growing hyper-parameter does to accuracy, robustness and gradients."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attributions import gradient
from robust_saliency.core import LogitsFn, get_norm
from robust_saliency.core.settings import Count, Distinct, NonNegative, Positive
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import Evaluator, Networks, first_examples, key_for, predict
from robust_saliency.studies.methods import attack_at, describe_attack
from robust_saliency.studies.response import page
from robust_saliency.studies.response.quantities import derived
from robust_saliency.studies.study import Measured, Study

# The label of the loss whose gradients are measured, and the score of an attribution.
TARGETS = {"y": "cross_entropy", "1/K": "uniform_cross_entropy"}
Family = Annotated[Mapping[str, Positive], Distinct()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Response(Study):
  """Networks that differ in one number: their accuracy, clean and transferred, and gradients.

  Unlike a selection it chooses nothing, so that it may look at test images.

  Attributes:
    families: what the networks have in common -> {network: its number}.
    source: the network that the adversarial examples are crafted on, the same for all.
    attack: an attack's config; "label" is what the report calls it.
    epsilon: its radius.
    drop: by how much an accuracy under attack may be below the family's highest on its plateau.
    loss: how much clean accuracy a network loses, against that of the smallest number, that is
      over-regularised.
    examples: how many test examples, from the first; None for all.
    batch_size: examples per call.

  Arrays, target the label of the loss: the true class "y", or all classes alike, "1/K":
    clean, attacked: bool [model, seed, example]: whether it is classified correctly.
    mean_square: the mean of ||d H(target, f(x)) / dx||_2^2, float64 [target, model, seed].
    slope: of log10 of that against log10 of the number, by least squares, float64 [target, family,
      seed]; of a family of one NaN.
    plateau: over how many decades of the number the accuracy under attack stays within `drop` of
      its highest, float64 [family, seed]; it is straight in the number's logarithm. NaN where the
      family does not leave it to both sides.
    collapse: the log10 of the number from which on networks are over-regularised, likewise, NaN
      where none is.
    gap_at_largest: of the network of the largest number, `clean` minus `attacked`, float64 [family,
      seed, example]; NaN where it is not over-regularised.

  Source: Ross & Doshi-Velez 2018, figures 7 and 9.
  """

  kind: ClassVar[str] = "response"

  families: Annotated[Mapping[str, Family], Distinct()]
  source: str
  attack: Mapping[str, Any]
  epsilon: NonNegative
  drop: Positive = 0.05
  loss: Positive = 0.1
  examples: Count | None = None
  batch_size: Count = 250

  @property
  def compared(self) -> tuple[str, ...]:
    """The networks of all families, each once."""
    return tuple(dict.fromkeys(name for family in self.families.values() for name in family))

  def networks(self, trained: Iterable[str]) -> tuple[str, ...]:
    """See `Study.networks`."""
    del trained
    return tuple(dict.fromkeys([self.source, *self.compared]))

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    return Layout(
      {
        **dict.fromkeys(("clean", "attacked"), ("model", "seed", "example")),
        "mean_square": ("target", "model", "seed"),
        "slope": ("target", "family", "seed"),
        **dict.fromkeys(("plateau", "collapse"), ("family", "seed")),
        "gap_at_largest": ("family", "seed", "example"),
      },
      {
        "target": tuple(TARGETS),
        "model": self.compared,
        "family": tuple(self.families),
        "seed": seeds,
      },
      differences=("gap_at_largest",),
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    return {"attack": attack_at(dataset, self.attack, self.epsilon)}

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    if self.models is not None:
      raise ValueError("models of a response are its families and its source; leave it out")
    first_examples(dataset.test, self.examples)
    super().check(modules, dataset)

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    test = first_examples(dataset.test, self.examples)
    x = dataset.to_float(test.x)
    length = jax.vmap(get_norm("l2").length)

    def lengths(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
      of_targets = [length(gradient(keys, logits_fn, x, y, score=one)) for one in TARGETS.values()]
      return jnp.stack(of_targets, axis=1)

    attack, read, measure = (
      Evaluator(one, batch_size=self.batch_size)
      for one in (attack_at(dataset, self.attack, self.epsilon), predict, lengths)
    )
    made = [attack(one, key_for(key, self.kind), x, test.y) for one in networks[self.source]]
    shape = (len(self.compared), len(made))
    clean, attacked = np.zeros((2, *shape, len(test)), bool)
    mean_square = np.zeros((len(TARGETS), *shape))
    for m, name in enumerate(self.compared):
      for s, network in enumerate(networks[name]):
        clean[m, s] = read(network, key, x, test.y) == test.y
        attacked[m, s] = read(network, key, made[s], test.y) == test.y
        squares = np.square(measure(network, key, x, test.y), dtype=np.float64)
        mean_square[:, m, s] = squares.mean(axis=0)
    arrays = {"clean": clean, "attacked": attacked, "mean_square": mean_square}
    return {**arrays, **self._derived(arrays)}, {
      "candidates": {family: dict(ours) for family, ours in self.families.items()},
      "source": self.source,
      "attack": describe_attack(self.kind, self.attack),
      "epsilon": float(self.epsilon),
    }

  def after_divergence(self, result: Result, networks: Networks) -> Result:
    """See `Study.after_divergence`: without the source's examples no accuracy is known."""
    sources = [s for s, one in enumerate(networks[self.source]) if one.diverged]
    attacked = np.array(result.arrays["attacked"], np.float64)
    attacked[:, sources] = np.nan
    arrays = {**result.arrays, "attacked": attacked}
    arrays |= self._derived(arrays)
    return dataclasses.replace(result, arrays=arrays)

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result)

  def _derived(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return derived(arrays, self.compared, self.families, drop=self.drop, loss=self.loss)
