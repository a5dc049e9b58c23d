"""Seeds: networks of several seeds count as independent, so none may be a copy of another."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from robust_saliency.core import checks
from robust_saliency.studies import Study
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
    raise TypeError(f"seeds must be whole numbers in a list or tuple, got {checks.shown(given)}")
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


def seeds_of_each(recipes: Mapping[str, Recipe], seeds: Sequence[int]) -> dict[str, list[int]]:
  """Model -> the seeds that it is trained with, in the experiment's order.

  Args:
    recipes: model -> its recipe.
    seeds: the experiment's.

  Raises:
    ValueError, TypeError: for seeds that are none of the experiment's, or that a model which this
      one needs has not.
  """
  found = {}
  for name, recipe in recipes.items():
    own = list(seeds)
    if recipe.seeds is not None:
      with checks.naming(f"model {name!r}"):
        own = distinct_seeds([*recipe.seeds] if isinstance(recipe.seeds, tuple) else recipe.seeds)
      for seed in own:
        if seed not in seeds:
          raise ValueError(
            f"model {name!r}: seeds must be among the experiment's {list(seeds)}, got {own}"
          )
    found[name] = [seed for seed in seeds if seed in own]
  for name, recipe in recipes.items():
    for role, other in recipe.needs.items():
      if missing := set(found[name]) - set(found[other]):
        raise ValueError(
          f"model {name!r}: its {role} {other!r} must be trained with all of its seeds "
          f"{found[name]}, {sorted(missing)} are missing"
        )
  return found


def seeds_of_study(
  study: Study, networks: Mapping[str, Sequence[int]], seeds: Sequence[int]
) -> tuple[int, ...]:
  """The seeds whose networks a study is measured on, in the experiment's order.

  Nothing is left out in silence: networks of different seeds have to be told apart by the config.

  Args:
    study: its settings.
    networks: network of the study -> the seeds that it is trained with.
    seeds: the experiment's.

  Returns:
    The seeds; none where there are no networks.

  Raises:
    ValueError: for seeds that one of the networks has not, or none where the networks differ.
  """
  if not networks:
    return ()
  own = study.seeds
  if own is None:
    (first, expected), *others = networks.items()
    for name, found in others:
      if set(found) != set(expected):
        shared = [s for s in seeds if all(s in of_one for of_one in networks.values())]
        raise ValueError(
          f"its networks are trained with different seeds, {first!r} with {list(expected)} and "
          f"{name!r} with {list(found)}; give seeds, of those that all have: {shared}"
        )
    own = tuple(expected)
  for name, found in networks.items():
    if missing := [seed for seed in own if seed not in found]:
      raise ValueError(
        f"seeds must be among those that all its networks are trained with; {name!r} is not with "
        f"{missing}"
      )
  return tuple(seed for seed in seeds if seed in own)


def refuse_copies(recipes: Mapping[str, Recipe], seeds: Mapping[str, Sequence[int]]) -> None:
  """Raises for a `seed_offset` by which one network would be a copy of another of another seed.

  Args:
    recipes: model -> its recipe.
    seeds: model -> its seeds.

  Raises:
    ValueError: in a sentence that names both.
  """

  def trained_alike(name: str, seed: int) -> str:
    # The probe, the log and the checkpoints leave a network what it is.
    recipe = dataclasses.replace(
      recipes[name], probe=None, seeds=None, seed_offset=0, log_every=1, checkpoint_every=1,
      steps_per_call=None,
    )  # fmt: skip
    teacher = "" if recipe.teacher is None else trained_alike(recipe.teacher, seed)
    described = {**dataclasses.asdict(recipe), "teacher": teacher}
    return f"{seed + recipes[name].seed_offset}: {json.dumps(described, sort_keys=True)}"

  found: dict[str, tuple[str, int]] = {}
  for name, recipe in recipes.items():
    for seed in seeds[name]:
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


def refuse_missing_seeds(studies: Mapping[str, Sequence[int]], seeds: Sequence[int]) -> None:
  """Raises for studies of which another needs results of seeds that they are not made of.

  Args:
    studies: each that it needs -> its seeds.
    seeds: those of the other.

  Raises:
    ValueError: in a sentence that names the study and the seeds.
  """
  for name, found in studies.items():
    if missing := [seed for seed in seeds if seed not in found]:
      raise ValueError(
        f"study {name!r}, whose maps it needs, must have all of its seeds {list(seeds)}; "
        f"{missing} are missing"
      )
