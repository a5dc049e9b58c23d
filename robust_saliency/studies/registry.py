"""The studies by kind, for configs; and running one."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency import models
from robust_saliency.core import checks
from robust_saliency.core.binding import bind, settings_of
from robust_saliency.data import Dataset
from robust_saliency.studies.accuracy import accuracy
from robust_saliency.studies.batches import Networks, first_examples, key_for
from robust_saliency.studies.evaluation import evaluated_attacks, evaluation
from robust_saliency.studies.fields import check_fields
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
    ValueError, TypeError: for a missing or unknown kind, an unknown setting, or one that the study
      needs and is not there.
  """
  checks.mapping(**{"a study": settings})
  own = {field: value for field, value in settings.items() if field != "models"}
  return bind(STUDIES, own, what="study", field="kind")


def check_study(
  settings: Mapping[str, Any],
  modules: Mapping[str, nn.Module],
  dataset: Dataset,
  *,
  families: Mapping[str, Sequence[str]] | None = None,
) -> None:
  """Refuses, by tracing alone, a study whose networks, attacks or attribution could not be used.

  Args:
    settings: {"kind": ..., and its settings}.
    modules: the networks that are trained, by name.
    dataset: what it would be measured on.
    families: further names, of networks that selections choose -> those that they choose among.

  Raises:
    ValueError, TypeError: in a sentence that names the setting.
  """
  get_study(settings)
  check_fields(settings)
  families = families or {}
  for model in settings.get("models", ()):
    checks.one_of(model, [*modules, *families], argument="model of a study")
  if settings["kind"] == SELECTION:
    check_selection(settings, list(modules), dataset)
    attacked = [settings["source"]]
  else:
    attacked = settings.get("models", list(modules))
    first_examples(dataset.test, settings.get("examples"))
  if settings.get("overlap") is not None:
    check_overlap(settings["overlap"], settings.get("models", list(modules)), settings["epsilons"])
  methods = _methods(settings, dataset)
  x = jax.ShapeDtypeStruct((2, *dataset.image_shape), jnp.float32)
  y = jax.ShapeDtypeStruct((2,), jnp.int32)
  names = [name for model in attacked for name in families.get(model, (model,))]
  for module in dict.fromkeys(modules[name] for name in names if name in modules):
    variables = jax.eval_shape(lambda m=module: models.init(m, jax.random.key(0), x.shape[1:]))
    for where, method in methods:
      with checks.naming(where):
        jax.eval_shape(
          lambda variables, x, y, run=method, m=module: run(
            jax.random.key(0), models.logits_fn(m, variables), x, y
          ),
          variables,
          x,
          y,
        )


# (key, logits_fn, x, y) -> array
_Method = Callable[..., Array]


def _methods(settings: Mapping[str, Any], dataset: Dataset) -> list[tuple[str, _Method]]:
  """The attacks and attributions of a study, and under which setting each stands."""
  methods: list[tuple[str, _Method]] = []
  if settings["kind"] == "evaluation":
    evaluated = evaluated_attacks(
      dataset,
      settings["attacks"],
      epsilon=settings["epsilon"],
      norm=settings.get("norm", settings_of(evaluation)["norm"].default),
    )
    for name, attack in evaluated.items():
      members = attack.values() if isinstance(attack, Mapping) else [attack]
      methods += [(f"attacks[{name!r}]", member) for member in members]
    return methods
  with checks.naming("attack"):
    if settings["kind"] == "targeted":
      return [("attack", aimed(dataset, settings["attack"], settings.get("frames")))]
    if "attack" in settings:
      bound = attack_on(dataset, settings["attack"], later=("epsilon",))
      methods.append(("attack", functools.partial(bound, epsilon=_radius(settings))))
  for name, attack in settings.get("attacks", {}).items():
    with checks.naming(f"attacks[{name!r}]"):
      bound, _ = attack_and_precision(dataset, attack)
    methods.append((f"attacks[{name!r}]", functools.partial(bound, epsilon=_radius(settings))))
  if "attribution" in settings:
    with checks.naming("attribution"):
      methods.append(("attribution", attribution_on(dataset, settings["attribution"])))
  return methods


def _radius(settings: Mapping[str, Any]) -> float:
  return settings["epsilon"] if "epsilon" in settings else settings["epsilons"][0]


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
