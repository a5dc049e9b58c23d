"""What the models and studies of a config need of one another, before any of them is a stage."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from robust_saliency.core import checks
from robust_saliency.objectives.terms import needed
from robust_saliency.pipeline.order import in_order
from robust_saliency.studies import Study
from robust_saliency.studies.selection import Selection
from robust_saliency.studies.target_maps import TargetMaps
from robust_saliency.training import Recipe

MODEL, STUDY = "model", "study"


class Entry(NamedTuple):
  """An entry of a config.

  Attributes:
    kind: `MODEL` or `STUDY`.
    name: what the config calls it.
  """

  kind: str
  name: str

  def __str__(self) -> str:
    return f"{self.kind} {self.name!r}"


def entries_in_order(
  recipes: Mapping[str, Recipe], studies: Mapping[str, Study], choosers: Mapping[str, str]
) -> list[Entry]:
  """A config's models and studies, each after what it needs.

  Otherwise models come in the order of the config, then the studies that something else needs, then
  the others.

  Args:
    recipes: the models.
    studies: the studies, whose networks need not exist.
    choosers: family of networks -> the study that chooses which of them bears its name.

  Raises:
    ValueError: for entries that need one another.
  """
  needs: dict[Entry, list[Entry]] = {}
  for name, recipe in recipes.items():
    choosing = [choosers[family] for family in (recipe.choices or {}).values()]
    making = [one.study for one in recipe.map_settings.values()]
    needs[Entry(MODEL, name)] = [
      *(Entry(MODEL, other) for other in recipe.needs.values()),
      *(Entry(STUDY, other) for other in (*choosing, *making)),
    ]
  for name, study in studies.items():
    of_study: list[Entry] = []
    for network in study.networks(with_classes(recipes)):
      if network in recipes:
        of_study.append(Entry(MODEL, network))
      elif network in choosers:
        chooser = studies[choosers[network]]
        of_study.append(Entry(STUDY, choosers[network]))
        of_study += [Entry(MODEL, one) for one in chooser.families[network]]  # type: ignore[attr-defined]
    needs[Entry(STUDY, name)] = [*of_study, *(Entry(STUDY, one) for one in study.needed_studies())]
  wanted = {other for others in needs.values() for other in others}
  first = {entry: others for entry, others in needs.items() if entry.kind == MODEL}
  second = {entry: others for entry, others in needs.items() if entry in wanted}
  return in_order({**first, **second, **needs}, what="models and studies")


def with_classes(recipes: Mapping[str, Recipe]) -> list[str]:
  """The models that tell classes apart: those that a study is handed which names none."""
  return [name for name, recipe in recipes.items() if recipe.has_classes]


def check_choices(recipes: Mapping[str, Recipe], studies: Mapping[str, Study]) -> None:
  """Raises unless each model's choices are made by a study.

  Raises:
    ValueError: in a sentence that names the model and the term.
  """
  choosing = [one for one in studies.values() if isinstance(one, Selection)]
  families = [family for one in choosing for family in one.families]
  for name, recipe in recipes.items():
    for term, family in (recipe.choices or {}).items():
      checks.one_of(family, families, argument=f"model {name!r}: choices of term {term!r}")


def check_maps(recipes: Mapping[str, Recipe], studies: Mapping[str, Study]) -> None:
  """Raises unless each model's maps are made by a study that makes them of training images.

  Raises:
    ValueError: in a sentence that names the model and the field.
  """
  for name, recipe in recipes.items():
    for of_map, settings in recipe.map_settings.items():
      field = f"model {name!r}: maps.{of_map}.study"
      checks.one_of(settings.study, studies, argument=field)
      study = studies[settings.study]
      if not isinstance(study, TargetMaps):
        raise ValueError(
          f"{field} must be a study of kind {TargetMaps.kind!r}, got {settings.study!r} of kind "
          f"{study.kind!r}"
        )
      if study.split != "train":
        raise ValueError(
          f"{field} must make maps of the split 'train', got {settings.study!r} of {study.split!r}"
        )
    for of_map, terms in needed(recipe.objective, "class maps").items():
      raise ValueError(
        f"model {name!r}: the term {terms[0]!r} needs the maps {of_map!r}, one for each class, "
        "which no study makes; train it by robust_saliency.training.Network.train(maps=...)"
      )
    for of_map, terms in needed(recipe.objective, "map").items():
      if of_map not in recipe.map_settings:
        raise ValueError(
          f"model {name!r}: the term {terms[0]!r} needs the map {of_map!r} of each image; name in "
          "maps the study that makes it"
        )


def check_studies(recipes: Mapping[str, Recipe], studies: Mapping[str, Study]) -> None:
  """Raises unless the studies that a study needs are there and give what it reads.

  Raises:
    ValueError: in a sentence that names the study and the field.
  """
  for name, study in studies.items():
    with checks.naming(f"study {name!r}"):
      others = [one for one in studies if one != name]
      for needed_study in study.needed_studies():
        checks.one_of(needed_study, others, argument="study of its maps")
      study.check_needed({one: studies[one] for one in study.needed_studies()}, recipes)


def deciding(studies: Mapping[str, Mapping[str, Any]], recipes: Mapping[str, Recipe]) -> set[str]:
  """The names of the studies on which it depends what a network is.

  Args:
    studies: as a config has them, not yet read.
    recipes: the models.
  """
  maps = {one.study for recipe in recipes.values() for one in recipe.map_settings.values()}
  families = {family for recipe in recipes.values() for family in (recipe.choices or {}).values()}
  families |= {str(studies[name].get("teacher")) for name in maps if name in studies}
  choosing = {
    name
    for name, study in studies.items()
    if study.get("kind") == Selection.kind
    and isinstance(study.get("families"), Mapping)
    and not families.isdisjoint(study["families"])
  }
  return maps | choosing
