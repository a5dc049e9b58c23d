"""What configs are written with: their variants, networks that share a recipe, and sweeps of them.

A config's models and studies keep the order in which they are written, which is that of the report.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict


def ordered(fields: Mapping[str, Any] | ConfigDict) -> ConfigDict:
  """A new `ConfigDict` whose fields, at every depth, stay in the order in which they are written.

  By default ml-collections sorts them, and models and studies would appear in the report in
  alphabetical order.

  >>> list(ordered({"models": {"standard": 1, "pgd": 2}}).models)
  ['standard', 'pgd']
  """
  nested = {
    name: ordered(value) if isinstance(value, (Mapping, ConfigDict)) else value
    for name, value in fields.items()
  }
  return ConfigDict(nested, sort_keys=False)


def variant(text: str, **kinds: Sequence[str | None] | type) -> dict[str, Any]:
  """The words after a config's colon, "mnist,small,3000", in any order.

  Args:
    text: words between commas, none needed.
    **kinds: kind -> the words of which there may be one, the first for none (which may be None);
      `int` for a whole number > 0, None for none; `bool` for the kind's own name as a word.

  Returns:
    Kind -> the word, the number, or whether the word is there.

  Raises:
    ValueError: for a word that is of no kind, or two of one kind.

  >>> variant("svhn, 3000", dataset=("mnist", "svhn"), scale=("small", "full"), steps=int)
  {'dataset': 'svhn', 'scale': 'small', 'steps': 3000}
  >>> variant("sweep", part=(None, "main"), sweep=bool)
  {'part': None, 'sweep': True}
  >>> variant("mnst", dataset=("mnist", "svhn"), steps=int)
  Traceback (most recent call last):
  ValueError: variant must be of mnist, svhn and a number of steps; got 'mnst'
  """
  words = [word.strip() for word in text.split(",") if word.strip()]
  is_one = {kind: _recogniser(kind, allowed) for kind, allowed in kinds.items()}
  known = [word for kind, allowed in kinds.items() for word in _listed(kind, allowed)]
  numbers = [_in_words(kind) for kind, allowed in kinds.items() if allowed is int]
  for word in words:
    if not any(of_kind(word) for of_kind in is_one.values()):
      each = ", ".join(known) + "".join(f" and a {number}" for number in numbers)
      raise ValueError(f"variant must be of {each}; got {word!r}")
  found: dict[str, Any] = {}
  for kind, allowed in kinds.items():
    of_kind = [word for word in words if is_one[kind](word)]
    if len(of_kind) > 1:
      name = _in_words(kind) if allowed is int else kind.replace("dataset", "data set")
      raise ValueError(f"variant must have one {name} at most, got {' and '.join(of_kind)}")
    if allowed is bool:
      found[kind] = bool(of_kind)
    elif isinstance(allowed, type):
      found[kind] = int(of_kind[0]) if of_kind else None
    else:
      found[kind] = of_kind[0] if of_kind else allowed[0]
  return found


def model(objective: Mapping[str, Any], recipe: Mapping[str, Any], **own: Any) -> dict[str, Any]:
  """A network of a config.

  Args:
    objective: its terms.
    recipe: what it shares with others, "architecture" first.
    **own: fields of its own, in the place of the recipe's; `epochs` in that of its steps, and
      `learning_rate` in that of its optimizer's.

  >>> model({"cross_entropy": {}}, {"architecture": {"name": "mlp"}, "steps": 9}, epochs=2)
  {'architecture': {'name': 'mlp'}, 'objective': {'cross_entropy': {}}, 'epochs': 2}
  """
  fields = {"architecture": recipe["architecture"], "objective": objective, **recipe}
  if "learning_rate" in own:
    fields["optimizer"] = {**recipe["optimizer"], "learning_rate": own.pop("learning_rate")}
  if "epochs" in own:
    fields.pop("steps", None)
  return {**fields, **own}


def sweep(
  family: str, term: str, lambdas: Sequence[float], *, unit: float = 1.0, **settings: Any
) -> dict[str, dict[str, Any]]:
  """Objective terms that differ in their weight, each under the name of a network with it.

  Args:
    family: the first word of the names.
    term: the objective's.
    lambdas: as they stand in the names.
    unit: the term's weight for a lambda of 1.
    **settings: the term's others.

  Returns:
    Name -> {term: its settings}.

  Raises:
    ValueError: for two lambdas of one name.

  >>> sweep("GR", "input_gradient_penalty", (0.00031623, 562), unit=2)["GR 562"]
  {'input_gradient_penalty': {'weight': 1124}}
  """
  terms: dict[str, dict[str, Any]] = {}
  for one in lambdas:
    name = f"{family} {in_a_name(one)}"
    if name in terms:
      raise ValueError(f"lambdas must differ by more than their names show; two are {name!r}")
    terms[name] = {term: {"weight": one * unit, **settings}}
  return terms


def in_a_name(number: float) -> str:
  """A number as a field of a config may have it, without a point and of one digit below 1.

  >>> in_a_name(0.00031623), in_a_name(1.78), in_a_name(56234), in_a_name(0), in_a_name(0.96)
  ('3e-4', '2', '56234', '0', '1')
  """
  small = f"{number:.0e}"
  return f"{number:.0f}" if number == 0 or float(small) >= 1 else small.replace("e-0", "e-")


def only(parts: Mapping[str, Mapping[str, Any]], names: Collection[str]) -> dict[str, Any]:
  """The models and studies of a config that are left with some networks alone.

  Claims stay in their table: those at a network that the table says the experiment may do without
  are left out where it is read.

  Args:
    parts: {"models": ..., "studies": ...}.
    names: the networks, and the families of networks of which a selection chooses one.

  >>> parts = {"models": {"a": 1, "b": 2}, "studies": {"x": {"models": ("b",)}, "y": {}}}
  >>> only(parts, ["a"])
  {'models': {'a': 1}, 'studies': {'y': {}}}
  """
  family_of = {
    name: family
    for settings in parts["studies"].values()
    for family, candidates in settings.get("families", {}).items()
    for name in candidates
  }

  def stays(name: str) -> bool:
    return family_of.get(name, name) in names

  def left(settings: Mapping[str, Any]) -> dict[str, Any]:
    kept = dict(settings)
    if "models" in kept:
      kept["models"] = tuple(filter(stays, kept["models"]))
    if kept.get("readers"):
      kept["readers"] = tuple(filter(stays, kept["readers"])) or None
    for field in {"families", "preferred"} & {*kept}:
      kept[field] = {name: family for name, family in kept[field].items() if stays(name)}
    if not all(map(stays, kept.get("overlap", {}).get("models", ()))):
      del kept["overlap"]
    return kept

  studies = {
    name: left(settings)
    for name, settings in parts["studies"].items()
    if settings.get("teacher") is None or stays(settings["teacher"])
  }
  return {
    "models": {name: one for name, one in parts["models"].items() if stays(name)},
    "studies": {name: one for name, one in studies.items() if one.get("models", True)},
  }


def first_seed_of_others(
  parts: Mapping[str, Mapping[str, Any]],
  names: Collection[str],
  studies: Collection[str],
  *,
  shown: Collection[str] = (),
  seed: int = 0,
) -> dict[str, Any]:
  """All seeds for some networks of a config, and only the first for the others.

  Args:
    parts: {"models": ..., "studies": ...}.
    names: the networks of all seeds, or those of them that there are.
    studies: those of the networks of all seeds; the others are of all networks' first seed.
    shown: of these studies those that are also made of all networks' first seed.
    seed: the first.

  >>> parts = {"models": {"a": {}, "b": {}}, "studies": {"x": {"models": ("a", "b")}, "y": {}}}
  >>> found = first_seed_of_others(parts, ["a"], ["x"], shown=["x"])
  >>> found["models"]
  {'a': {}, 'b': {'seeds': (0,)}}
  >>> list(found["studies"])
  ['x', 'x, first seed', 'y']
  >>> found["studies"]["x"], found["studies"]["y"]
  ({'models': ('a',)}, {'seeds': (0,)})
  """
  first = {"seeds": (seed,)}
  measured: dict[str, Any] = {}
  for title, study in parts["studies"].items():
    if title not in studies:
      measured[title] = {**study, **first}
      continue
    models = study.get("models", tuple(parts["models"]))
    of_all_seeds = tuple(name for name in models if name in names)
    measured[title] = {**study, "models": of_all_seeds}
    if title in shown and len(of_all_seeds) < len(models):
      measured[f"{title}, first seed"] = {**study, **first}
  networks = {
    name: one if name in names else {**one, **first} for name, one in parts["models"].items()
  }
  return {"models": networks, "studies": measured}


def _recogniser(kind: str, allowed: Sequence[str | None] | type) -> Callable[[str], bool]:
  if allowed is int:
    return lambda word: word.isdecimal() and int(word) > 0
  return _listed(kind, allowed).__contains__


def _listed(kind: str, allowed: Sequence[str | None] | type) -> list[str]:
  if isinstance(allowed, type):
    return [kind] if allowed is bool else []
  return [word for word in allowed if word is not None]


def _in_words(kind: str) -> str:
  return f"number of {kind}"
