"""The order in which models are trained: each after those that it needs."""

import graphlib
from collections.abc import Mapping

from robust_saliency.core import checks
from robust_saliency.training.recipe import Recipe


def training_order(recipes: Mapping[str, Recipe]) -> list[str]:
  """The models in an order in which each comes after its teacher and its probe's source.

  Args:
    recipes: the models by name.

  Returns:
    Their names.

  Raises:
    ValueError: for a model that does not exist, a teacher that has a teacher itself, or models
      that need one another.
  """
  for name, recipe in recipes.items():
    for role, needed in recipe.needs.items():
      checks.one_of(needed, recipes, argument=f"{role} of model {name!r}")
    if recipe.teacher is not None and recipes[recipe.teacher].teacher is not None:
      raise ValueError(f"teacher of model {name!r} must not have a teacher itself")
  graph = {name: recipe.needs.values() for name, recipe in recipes.items()}
  try:
    return list(graphlib.TopologicalSorter(graph).static_order())
  except graphlib.CycleError as error:
    needing = reversed(error.args[1])
    raise ValueError(
      "models must not need one another, as teacher or as source of a probe; got "
      + ", which needs ".join(map(repr, needing))
    ) from None
