"""Seeds: networks of several seeds count as independent, so none may be a copy of another."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from robust_saliency.core import checks
from robust_saliency.training import Recipe

SEEDS = 2**32  # JAX's keys of larger ones are those of the remainder


def distinct_seeds(given: Any) -> list[int]:
  """A config's seeds as integers.

  Raises:
    TypeError: unless they are a list of integers.
    ValueError: for a seed below 0 or of 2**32 and more, or one that is there twice.

  >>> distinct_seeds([0, 0])
  Traceback (most recent call last):
  ValueError: seeds must differ, equal ones train the same network twice; got 0 at 0 and 1
  """
  if not isinstance(given, list):
    raise TypeError(f"seeds must be whole numbers in a list or tuple, got {given!r}")
  if not given:
    raise ValueError("seeds must have at least one entry, got none")
  named = {f"seeds[{i}]": seed for i, seed in enumerate(given)}
  checks.count(0, maximum=SEEDS - 1, **named)
  for i, seed in enumerate(given):
    if seed in given[:i]:
      raise ValueError(
        f"seeds must differ, equal ones train the same network twice; got {seed} at "
        f"{given.index(seed)} and {i}"
      )
  return [int(seed) for seed in given]


def refuse_copies(recipes: Mapping[str, Recipe], seeds: list[int]) -> None:
  """Raises for a `seed_offset` by which one network would be a copy of another of another seed.

  Args:
    recipes: model -> its recipe.
    seeds: the experiment's.

  Raises:
    ValueError: in a sentence that names both.
  """

  def trained_alike(name: str, seed: int) -> str:
    # The probe, the log and the checkpoints leave a network what it is.
    recipe = dataclasses.replace(
      recipes[name], probe=None, seed_offset=0, log_every=1, checkpoint_every=1
    )
    teacher = "" if recipe.teacher is None else trained_alike(recipe.teacher, seed)
    described = {**dataclasses.asdict(recipe), "teacher": teacher}
    return f"{seed + recipes[name].seed_offset}: {json.dumps(described, sort_keys=True)}"

  found: dict[str, tuple[str, int]] = {}
  for name, recipe in recipes.items():
    for seed in seeds:
      if seed + recipe.seed_offset >= SEEDS:
        raise ValueError(
          f"model {name!r}: seed_offset plus a seed must be < 2**32, got {recipe.seed_offset} + "
          f"{seed}"
        )
      other, other_seed = found.setdefault(trained_alike(name, seed), (name, seed))
      if other_seed != seed:
        raise ValueError(
          f"model {name!r} of seed {seed} would be a copy of {other!r} of seed {other_seed}: "
          f"seed_offset must be larger than the seeds lie apart, got {recipe.seed_offset} and "
          f"{recipes[other].seed_offset}"
        )
