"""Which models of an experiment one program can train at once."""

import dataclasses
from collections.abc import Mapping

from robust_saliency.core import files
from robust_saliency.training.recipe import Recipe


def sweeps(recipes: Mapping[str, Recipe]) -> list[list[str]]:
  """Groups of models that differ in the weights of their terms alone.

  Args:
    recipes: the models by name.

  Returns:
    Every model once, a group of one where it is like no other. Models that stop early are not in
    any group: one would stop before another. Nor are those whose weights are not known yet,
    or that keep checkpoints.

  >>> recipe = Recipe({"name": "digits"}, {"cross_entropy": {}}, {"name": "adam"}, 64, steps=1)
  >>> harder = dataclasses.replace(recipe, objective={"cross_entropy": {"weight": 2.0}})
  >>> longer = dataclasses.replace(recipe, steps=2)
  >>> sweeps({"a": recipe, "b": longer, "c": harder})
  [['a', 'c'], ['b']]
  """
  groups: dict[str, list[str]] = {}
  for name, recipe in recipes.items():
    if recipe.early_stopping is None and not recipe.choices and recipe.snapshots is None:
      objective = {
        term: {field: value for field, value in settings.items() if field != "weight"}
        for term, settings in recipe.objective.items()
      }
      alike = files.json_text(
        dataclasses.asdict(dataclasses.replace(recipe, objective=objective, seeds=None))
      )
      groups.setdefault(alike, []).append(name)
  return list(groups.values())
