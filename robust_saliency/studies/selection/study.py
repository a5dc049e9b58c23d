"""Choosing a hyper-parameter on the validation split: the most robust that stays accurate."""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import flax.linen as nn
import numpy as np
from absl import logging
from jax import Array

from robust_saliency.core import checks
from robust_saliency.core.settings import Count, Distinct, Fraction, NonNegative
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results import halves
from robust_saliency.results.gates import GATES, gate
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import Evaluator, Networks, first_examples, key_for, predict
from robust_saliency.studies.methods import attack_at, describe_attack
from robust_saliency.studies.selection import page
from robust_saliency.studies.study import Measured, Study

Family = Annotated[Mapping[str, NonNegative], Distinct()]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Selection(Study):
  """Chooses, of networks that differ in one number, the most robust to black-box attacks.

  Eligible are those that keep a share of the undefended network's accuracy; where no candidate of a
  family is, its most accurate one is chosen. From then on the family's name stands for the chosen
  network, in studies and claims.

  Where candidates are as good as equal, the images draw lots. The one-standard-error rule does not:
  of those within `standard_errors` of the best it chooses the preferred number, and where that is
  not among them the largest.

  Attributes:
    families: what the chosen network will be called -> {candidate: its number}.
    reference: the network whose accuracy must be kept.
    source: the network that the adversarial examples are crafted on, the same for all candidates.
    attack: an attack's config; "label" is what the report calls it.
    epsilon: its radius.
    keep: share of the reference's clean accuracy that a candidate must reach.
    standard_errors: how far below the best a candidate may be and count as equal to it, in standard
      errors of the best one's accuracy under attack; None to choose the best itself.
    preferred: family -> the number that is taken where several count as equal, the paper's, say.
    examples: how many validation examples, from the first; None for all.
    batch_size: examples per call.

  Arrays:
    clean: bool [model, seed, example], correct on validation images; the models are the reference
      and every candidate.
    attacked: bool, the same under attack.
    best: [family, seed, example'], `attacked` of each family's candidate that is the most accurate
      under attack on half of the images, on the other half; last, under its own name, the
      reference on that half. Claims about a family whose best is not eligible are not judged.

  Source: Ross & Doshi-Velez 2018, section "Experiments": the highest black-box FGSM accuracy among
  those within 3 % of the undefended accuracy. Breiman et al. 1984, section 3.4.3, for the
  one-standard-error rule.
  """

  kind: ClassVar[str] = "selection"

  families: Annotated[Mapping[str, Family], Distinct()]
  reference: str
  source: str
  attack: Mapping[str, Any]
  epsilon: NonNegative
  keep: Fraction = 0.97
  standard_errors: NonNegative | None = None
  preferred: Mapping[str, NonNegative] = dataclasses.field(default_factory=dict)
  examples: Count | None = None
  batch_size: Count = 250

  @property
  def compared(self) -> tuple[str, ...]:
    """The networks whose accuracies count: the reference, and every candidate once."""
    candidates = (name for family in self.families.values() for name in family)
    return tuple(dict.fromkeys([self.reference, *candidates]))

  def networks(self, trained: Iterable[str]) -> tuple[str, ...]:
    """See `Study.networks`."""
    del trained
    return tuple(dict.fromkeys([self.source, *self.compared]))

  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """See `Study.layout`."""
    arrays = ("clean", "attacked")
    return Layout(
      {
        **dict.fromkeys(arrays, ("model", "seed", "example")),
        "best": ("family", "seed", "example"),
      },
      {"model": self.compared, "seed": seeds, "family": (*self.families, self.reference)},
      units={
        **dict.fromkeys(arrays, "validation images"),
        "best": "validation images that did not choose",
      },
    )

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """See `Study.methods`."""
    return {"attack": attack_at(dataset, self.attack, self.epsilon)}

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """See `Study.check`."""
    if self.models is not None:
      raise ValueError("models of a selection are its families, reference and source; leave it out")
    if self.reference in self.families:
      raise ValueError(f"reference must not have the name of a family, got {self.reference!r}")
    for family in self.preferred:
      checks.one_of(family, self.families, argument="family of preferred")
    if self.preferred and self.standard_errors is None:
      raise ValueError("preferred numbers belong to the rule of standard_errors; give these too")
    validation = first_examples(
      dataset.validation_for(f"a study of kind {self.kind}"), self.examples
    )
    checks.count(minimum=2, **{"examples of the validation split": len(validation)})
    super().check(modules, dataset)

  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """See `Study.measure`."""
    validation = first_examples(
      dataset.validation_for(f"a study of kind {self.kind}"), self.examples
    )
    x = dataset.to_float(validation.x)
    make_examples = Evaluator(
      attack_at(dataset, self.attack, self.epsilon), batch_size=self.batch_size
    )
    predictions = Evaluator(predict, batch_size=self.batch_size)
    attack_key = key_for(key, self.kind)
    made = [make_examples(one, attack_key, x, validation.y) for one in networks[self.source]]

    def correct(name: str, images: list[np.ndarray]) -> list[np.ndarray]:
      return [
        predictions(network, key, of_seed, validation.y) == validation.y
        for network, of_seed in zip(networks[name], images, strict=True)
      ]

    clean = np.array([correct(name, [x] * len(made)) for name in self.compared])
    attacked = np.array([correct(name, made) for name in self.compared])
    eligible, tied, chosen = self._choice(clean, attacked)
    for family, name in chosen.items():
      logging.info("%s is %s from here on", family, name)
    best, closed = self._best(attacked, eligible)
    return {"clean": clean, "attacked": attacked, "best": best}, {
      "families": {family: dict(candidates) for family, candidates in self.families.items()},
      "chosen": chosen,
      "eligible": eligible,
      GATES: closed,
      "tied": tied,
      "standard_errors": self.standard_errors,
      "preferred": dict(self.preferred),
      "reference": self.reference,
      "source": self.source,
      "attack": describe_attack(self.kind, self.attack),
      "epsilon": float(self.epsilon),
      "keep": float(self.keep),
    }

  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """See `Study.page`."""
    return page.section(result, styles)

  def after_divergence(self, result: Result, networks: Networks) -> Result:
    """The choice among the networks that have not diverged, by the seeds that can tell.

    Without the source's examples nothing is known of a seed, nor without the reference. In `best`
    there is NaN for families of which a candidate has diverged.
    """
    sources = [s for s, one in enumerate(networks[self.source]) if one.diverged]
    attacked = np.array(result.arrays["attacked"], np.float64)
    attacked[:, sources] = np.nan
    clean = np.array(result.arrays["clean"], np.float64)
    for m, name in enumerate(self.compared):
      if name != self.reference and np.isnan(clean[m]).any():
        clean[m] = np.nan
    reference = clean[self.compared.index(self.reference)]
    telling = [s for s, one in enumerate(reference) if s not in sources and np.isfinite(one).all()]
    seeds = telling or list(range(len(reference)))
    eligible, tied, chosen = self._choice(clean[:, seeds], attacked[:, seeds])
    best, closed = self._best(attacked, eligible)
    of_choice = {"eligible": eligible, GATES: closed, "tied": tied, "chosen": chosen}
    return dataclasses.replace(
      result,
      arrays={**result.arrays, "attacked": attacked, "best": best},
      metadata={**result.metadata, **of_choice},
    )

  def _choice(
    self, clean: np.ndarray, attacked: np.ndarray
  ) -> tuple[list[str], dict[str, list[str]], dict[str, str]]:
    """The candidates that stay accurate; family -> those as good as its best; -> the chosen one."""
    of_clean, of_attacked = (
      dict(zip(self.compared, values.mean(axis=(1, 2)).tolist(), strict=True))
      for values in (clean, attacked)
    )
    # The images are the same for all seeds.
    errors = attacked.mean(axis=1).std(axis=-1, ddof=1) / np.sqrt(attacked.shape[-1])
    of_errors = dict(zip(self.compared, errors.tolist(), strict=True))
    least = self.keep * of_clean[self.reference]
    candidates_of_all = {name for family in self.families.values() for name in family}
    eligible = [
      name for name in self.compared if name in candidates_of_all and of_clean[name] >= least
    ]
    tied, chosen = {}, {}
    for family, candidates in self.families.items():
      measured = [name for name in candidates if not np.isnan(of_clean[name])]
      best = choose(measured or list(candidates), of_clean, of_attacked, eligible)
      tied[family], chosen[family] = [best], best
      if self.standard_errors is not None and best in eligible:
        enough = of_attacked[best] - self.standard_errors * of_errors[best]
        equal = [name for name in candidates if name in eligible and of_attacked[name] >= enough]
        tied[family] = equal or [best]
        chosen[family] = nearest_to(
          {name: candidates[name] for name in tied[family]}, self.preferred.get(family)
        )
    return eligible, tied, chosen

  def _best(
    self, attacked: np.ndarray, eligible: Collection[str]
  ) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The array `best`, and gates for families of which it is no network that stays accurate."""
    choosing, judging = halves(attacked)
    accuracy = choosing.mean(axis=(1, 2))
    best, closed = [], []
    for family, names in {**self.families, self.reference: [self.reference]}.items():
      places = [self.compared.index(name) for name in names]
      # argmax takes the first NaN for the largest number.
      place = places[int(accuracy[places].argmax())]
      best.append(judging[place])
      if np.isnan(accuracy[places]).any():
        best[-1] = np.full(judging.shape[1:], np.nan)
      elif family != self.reference and self.compared[place] not in eligible:
        why = (
          f"{self.compared[place]}, the best of {family}, keeps less than {100 * self.keep:g} % of "
          f"the {self.reference} network’s clean accuracy"
        )
        closed.append(gate("best", why, family=family))
    return np.array(best), closed


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


def nearest_to(tied: Mapping[str, float], preferred: float | None) -> str:
  """Of candidates that are as good as equal the one of the preferred number, else of the largest.

  >>> tied = {"weak": 1.0, "strong": 10.0}
  >>> nearest_to(tied, 1.0), nearest_to(tied, 5.0), nearest_to(tied, None)
  ('weak', 'strong', 'strong')
  """
  of_preferred = (name for name, number in tied.items() if number == preferred)
  return next(of_preferred, max(tied, key=tied.__getitem__))


def chosen_by(studies: Mapping[str, Study], trained: Mapping[str, Any]) -> dict[str, str]:
  """Family -> the selection that chooses it, of a config's studies.

  Args:
    studies: name -> study, of any kind.
    trained: the networks that are trained: name -> recipe, or a config's entry.

  Raises:
    ValueError: if two selections choose one family, a family has the name of a trained network that
      does not follow from its choice, or a selection names a network that is not trained.
  """
  found: dict[str, str] = {}
  for name, study in studies.items():
    if not isinstance(study, Selection):
      continue
    where = f"studies.{name}"
    for field in ("reference", "source"):
      checks.one_of(getattr(study, field), trained, argument=f"{where}.{field}")
    for family, candidates in study.families.items():
      if family in found:
        raise ValueError(f"studies {found[family]!r} and {name!r} both choose {family!r}")
      if family in trained and family not in _choices_of(trained[family]):
        raise ValueError(
          f"{where}.families must not have the name of a trained network, got {family!r}"
        )
      for candidate in candidates:
        checks.one_of(candidate, trained, argument=f"candidate of {where}.families.{family}")
      found[family] = name
  return found


def _choices_of(recipe: Any) -> Collection[str]:
  """The families that a model's weights follow from."""
  found = recipe.get("choices") if isinstance(recipe, Mapping) else getattr(recipe, "choices", None)
  return () if found is None else tuple(found.values())
