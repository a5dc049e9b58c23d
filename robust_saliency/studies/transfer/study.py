"""Transfer: adversarial examples crafted on one network, evaluated on every other."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.core import LogitsFn, checks
from robust_saliency.core.settings import Count, Distinct, NonNegative, Radii
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import Evaluator, Networks, first_examples, key_for, predict
from robust_saliency.studies.methods import attack_on, describe_attack
from robust_saliency.studies.study import Measured, Study
from robust_saliency.studies.transfer import page
from robust_saliency.studies.transfer.quantities import derived


@dataclasses.dataclass(frozen=True, kw_only=True)
class Overlap:
  """Which networks' shared errors are counted.

  Attributes:
    models: three of the study's networks, the circles of the report's diagrams.
    epsilon: one of the study's radii.
  """

  models: Annotated[tuple[str, str, str], Distinct()]
  epsilon: NonNegative


@dataclasses.dataclass(frozen=True, kw_only=True)
class Transfer(Study):
  """Which adversarial examples of each source network each target network of its seed gets right.

  Attributes:
    attack: an attack's settings, without epsilon; "label" is what the report calls it.
    epsilons: the radii, each measured with the same keys.
    examples: how many test examples, from the first; None for all.
    overlap: where the errors that networks share are counted; None for nowhere.
    batch_size: examples per call; each is attacked at all epsilons at once.

  Arrays:
    correct: bool [seed, epsilon, source, target, example].
    largest_drop: -1, 0 or 1 [seed, source, example]: whether the source's examples cost a target
      its correct prediction, against the smallest radius; of the target and the radius that lose
      most on every second image, over seeds, measured on the images between these.
    highest: bool [seed, epsilon, source, example]: whether the target that gets most of the
      source's examples right gets this one right; chosen, as for `largest_drop`, on every second
      image and measured on the others.
    spread: -1, 0 or 1 [seed, epsilon, source, example]: that, minus the same of the target that
      gets fewest right.
    crossing: float64 [source, target, rival, seed]: the radius from which on the target gets more
      of the source's examples right than the rival, having got fewer right below it; accuracies
      lie on straight lines between the radii. NaN where the two curves cross nowhere, more than
      once, or the other way, as far as the images tell (`quantities.crossings`).
    fools_both, fools_either: bool [seed, source, target, example], with an overlap, at its radius:
      whether the source's example is misclassified by the source and by the target, and by at least
      one of them.

  Source: Ross & Doshi-Velez 2018, figures 1, 3 and 10.
  """

  kind: ClassVar[str] = "transfer"
  version: ClassVar[int] = 2

  attack: Mapping[str, Any]
  epsilons: Radii
  examples: Count | None = None
  overlap: Overlap | None = None
  batch_size: Count = 250

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    axes: dict[str, tuple[str, ...]] = {
      "correct": ("seed", "epsilon", "source", "target", "example"),
      "largest_drop": ("seed", "source", "example"),
      **dict.fromkeys(("highest", "spread"), ("seed", "epsilon", "source", "example")),
      "crossing": ("source", "target", "rival", "seed"),
    }
    others = "test images other than those that it was chosen on"
    units = dict.fromkeys(("largest_drop", "highest", "spread"), others)
    if self.overlap is not None:
      axes |= dict.fromkeys(("fools_both", "fools_either"), ("seed", "source", "target", "example"))
      units["fools_both"] = "images that fool either"
    return Layout(
      axes,
      {
        "seed": seeds,
        "epsilon": tuple(self.epsilons),
        **dict.fromkeys(("source", "target", "rival"), networks),
      },
      units=units,
      differences=("largest_drop", "spread"),
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    with checks.naming("attack"):
      attack = attack_on(dataset, self.attack, later=("epsilon",))
    return {"attack": functools.partial(attack, epsilon=self.epsilons[0])}

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    first_examples(dataset.test, self.examples)
    if self.overlap is not None:
      for name in self.overlap.models:
        checks.one_of(name, modules, argument="overlap.models")
      if not np.isclose(self.overlap.epsilon, self.epsilons).any():
        raise ValueError(
          f"overlap.epsilon must be one of {', '.join(map(str, self.epsilons))}, "
          f"got {self.overlap.epsilon}"
        )
    super().check(modules, dataset)

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    correct = self._correct(networks, dataset, key)
    arrays = {"correct": correct, **derived(correct, self.epsilons)}
    metadata: dict[str, Any] = {"attack": describe_attack("transfer", self.attack)}
    if self.overlap is not None:
      fooled = ~correct[:, np.argmin(np.abs(np.array(self.epsilons) - self.overlap.epsilon))]
      sources = np.arange(len(networks))
      # [seed, source, 1, example]: what each network is fooled by of its own examples.
      itself = fooled[:, sources, sources][:, :, None]
      arrays |= {"fools_both": fooled & itself, "fools_either": fooled | itself}
      metadata["overlap"] = {
        "models": list(self.overlap.models), "epsilon": float(self.overlap.epsilon),
      }  # fmt: skip
    return arrays, metadata

  def after_divergence(self, result: Result, networks: Networks) -> Result:
    """See `Study.after_divergence`: no network that has diverged is chosen for any extreme."""
    arrays = {**result.arrays, **derived(result.arrays["correct"], self.epsilons)}
    return dataclasses.replace(result, arrays=arrays)

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result, styles)

  def _correct(self, networks: Networks, dataset: Dataset, key: Array) -> np.ndarray:
    test = first_examples(dataset.test, self.examples)
    x = dataset.to_float(test.x)
    attack = attack_on(dataset, self.attack, later=("epsilon",))
    radii = jnp.asarray(self.epsilons, jnp.float32)

    def make(keys: Array, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
      return jax.vmap(lambda epsilon: attack(keys, logits_fn, x, y, epsilon=epsilon), out_axes=1)(
        radii
      )

    make_examples = Evaluator(make, batch_size=self.batch_size)
    test_examples = Evaluator(predict, batch_size=self.batch_size)
    attack_key = key_for(key, "transfer")
    by_seed = list(zip(*networks.values(), strict=True))
    shape = (len(by_seed), len(self.epsilons), len(networks), len(networks), len(test))
    correct = np.zeros(shape, bool)
    for s, of_this_seed in enumerate(by_seed):
      for i, source in enumerate(of_this_seed):
        x_adv = make_examples(source, attack_key, x, test.y)
        for j, target in enumerate(of_this_seed):
          # One radius at a time: a network may look at its whole batch, as local contrast
          # normalisation over a batch does.
          for e in range(len(self.epsilons)):
            predicted = test_examples(target, attack_key, x_adv[:, e], test.y)
            correct[s, e, i, j] = predicted == test.y
    return correct
