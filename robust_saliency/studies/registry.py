"""The studies by kind, for configs; and running one."""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency import models
from robust_saliency.core import checks
from robust_saliency.core.binding import bind
from robust_saliency.data import Dataset
from robust_saliency.studies.accuracy import accuracy
from robust_saliency.studies.batches import Networks, first_examples, key_for
from robust_saliency.studies.evaluation import evaluated_attacks, evaluation
from robust_saliency.studies.gradients import gradients
from robust_saliency.studies.map_quality import map_quality
from robust_saliency.studies.result import StudyResult
from robust_saliency.studies.robustness import attack_and_precision, attack_on, robustness
from robust_saliency.studies.saliency import attribution_on, saliency
from robust_saliency.studies.selection import KIND as SELECTION
from robust_saliency.studies.selection import check_selection, selection
from robust_saliency.studies.targeted import aimed, targeted
from robust_saliency.studies.transfer import check_overlap, transfer

STUDIES: dict[str, Callable] = {
  SELECTION: selection,
  "accuracy": accuracy,
  "robustness": robustness,
  "transfer": transfer,
  "gradients": gradients,
  "evaluation": evaluation,
  "saliency": saliency,
  "map_quality": map_quality,
  "targeted": targeted,
}


def get_study(settings: Mapping[str, Any]) -> Callable:
  """The study that a config describes: {"kind": one of `STUDIES`, and its settings}.

  "models", which every study may have, chooses the networks that it is handed and is not for it.

  Raises:
    ValueError: for a missing or unknown kind, or an unknown setting.
  """
  named = {
    ("name" if field == "kind" else field): value
    for field, value in settings.items()
    if field != "models"
  }
  return bind(STUDIES, named, what="study")


def check_study(
  settings: Mapping[str, Any],
  modules: Mapping[str, nn.Module],
  dataset: Dataset,
  *,
  families: Iterable[str] = (),
) -> None:
  """Refuses, by tracing alone, a study whose networks, attacks or attribution could not be used.

  Args:
    settings: {"kind": ..., and its settings}.
    modules: the networks that are trained, by name.
    dataset: what it would be measured on.
    families: further names, of networks that selections choose.

  Raises:
    ValueError, TypeError: in a sentence that names the setting.
  """
  get_study(settings)
  known = [*modules, *families]
  for model in settings.get("models", ()):
    checks.one_of(model, known, argument="model of a study")
  if settings["kind"] == SELECTION:
    check_selection(settings, list(modules), dataset)
  if settings.get("overlap") is not None:
    check_overlap(settings["overlap"], settings.get("models", list(modules)), settings["epsilons"])
  for name in ("batch_size", "per_class"):
    if name in settings:
      checks.count(**{name: settings[name]})
  first_examples(dataset.test, settings.get("examples"))
  methods = _methods(settings, dataset)
  x = jax.ShapeDtypeStruct((2, *dataset.image_shape), jnp.float32)
  y = jax.ShapeDtypeStruct((2,), jnp.int32)
  for module in dict.fromkeys(modules.values()):
    variables = jax.eval_shape(lambda m=module: models.init(m, jax.random.key(0), x.shape[1:]))
    for method in methods:
      jax.eval_shape(
        lambda variables, x, y, run=method, m=module: run(
          jax.random.key(0), models.logits_fn(m, variables), x, y
        ),
        variables,
        x,
        y,
      )


def _methods(settings: Mapping[str, Any], dataset: Dataset) -> list[Callable[..., Array]]:
  """The attacks and attributions of a study, all `(key, logits_fn, x, y) -> array`."""
  methods: list[Callable[..., Array]] = []
  if settings["kind"] == "evaluation":
    checks.non_negative(epsilon=settings.get("epsilon", 0.0))
    evaluated = evaluated_attacks(
      dataset,
      settings.get("attacks", {}),
      epsilon=settings.get("epsilon", 0.0),
      norm=settings.get("norm", "linf"),
    )
    for attack in evaluated.values():
      methods += attack.values() if isinstance(attack, Mapping) else [attack]
    return methods
  if settings["kind"] == "targeted":
    return [aimed(dataset, settings.get("attack", {}), settings.get("frames"))]
  epsilons = settings.get("epsilons", (settings.get("epsilon", 0.0),))
  checks.non_negative(epsilons=epsilons)
  for attack in settings.get("attacks", {}).values():
    bound, _ = attack_and_precision(dataset, attack)
    methods.append(functools.partial(bound, epsilon=epsilons[0]))
  if "attack" in settings:
    methods.append(functools.partial(attack_on(dataset, settings["attack"]), epsilon=epsilons[0]))
  if "attribution" in settings:
    methods.append(attribution_on(dataset, settings["attribution"]))
  return methods


def run_study(
  name: str,
  settings: Mapping[str, Any],
  networks: Networks,
  dataset: Dataset,
  *,
  key: Array,
  seeds: Sequence[int],
  about: Mapping[str, Any] | None = None,
) -> StudyResult:
  """Runs one study of a config.

  Args:
    name: what the config calls it.
    settings: {"kind": ..., and its settings}.
    networks: name -> one trained network per seed; all of them, or those of its "models".
    dataset: what is measured on.
    key: a PRNG key; the study's own name is folded in.
    seeds: the networks' seeds, recorded in the facts.
    about: more facts for the report, such as the epsilons that the networks were trained with.

  Returns:
    Its result.
  """
  arrays, facts = get_study(settings)(networks, dataset, key_for(key, name))
  return StudyResult(
    name, settings["kind"], arrays, {"seeds": list(seeds), **(about or {}), **facts}
  )
