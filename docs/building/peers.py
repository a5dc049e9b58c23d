"""Where the names of other packages are here: what is installed of them, and what we say of it.

Their names and defaults are read from their source, without importing them, and kept in
`docs/coming_from/defaults.json`, from which the page is made; a test holds it to what is installed.
What each is here stands in `docs/coming_from/PACKAGE.toml`. To take over a new release:

  python -m docs.building.peers
"""

import ast
import functools
import json
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "coming_from"
DEFAULTS = FOLDER / "defaults.json"
# The folders whose __init__.py lists the names, and the methods that take their settings.
PLACES = {
  "captum": (("attr", "metrics", "robust"), ("__init__", "attribute", "perturb")),
  "torchattacks": (("",), ("__init__",)),
  "foolbox": (("attacks",), ("__init__",)),
  "art": (("attacks/evasion",), ("__init__",)),
}
DISTRIBUTIONS = {"art": "adversarial-robustness-toolbox"}
# What is explained or attacked, and what says nothing of the method.
NOT_SETTINGS = {
  *("self", "model", "classifier", "estimator", "forward_func", "inputs", "target"),
  *("additional_forward_args", "device_ids", "show_progress", "verbose", "summary_writer"),
  *("return_convergence_delta", "perturbations_per_eval", "return_input_shape"),
  *("layer", "attribute_to_layer_input", "attribute_to_neuron_input", "grad_kwargs"),
  *("internal_batch_size", "batch_size", "custom_attribution_func"),
}
# captum's that are no attribution but what they are made of, or what goes into one.
_BASES = {"Attribution", "GradientAttribution", "PerturbationAttribution"}
_BASES |= {"NeuronAttribution", "LayerAttribution", "Perturbation"}


@dataclass(frozen=True)
class Entry:
  """One name of another package.

  Attributes:
    name: theirs, such as "PGD".
    defaults: setting -> its default as their source has it, or None where it must be given.
    here: the call that has the same settings, or None.
    why: why it is not here, or None.
    note: in what else the two differ.
    other: settings whose names mean something else here.
  """

  name: str
  defaults: Mapping[str, str | None]
  here: str | None = None
  why: str | None = None
  note: str = ""
  other: tuple[str, ...] = ()


def entries(package: str) -> list[Entry]:
  """All names of a package, in the order in which we speak of them."""
  kept = json.loads(DEFAULTS.read_text(encoding="utf-8"))[package]["names"]
  said = table(package)["names"]
  found = []
  for name, of in said.items():
    whole = {**said[of["same"]], "note": f"Another name of {of['same']}."} if "same" in of else of
    other = tuple(whole.get("other", ()))
    rest = {field: whole.get(field) for field in ("here", "why")}
    found.append(Entry(name, kept.get(name, {}), note=whole.get("note", ""), other=other, **rest))
  return found


@functools.cache
def table(package: str) -> dict[str, Any]:
  """What we say of a package."""
  return tomllib.loads((FOLDER / f"{package}.toml").read_text(encoding="utf-8"))


def version(package: str) -> str:
  """The version whose names are kept."""
  return json.loads(DEFAULTS.read_text(encoding="utf-8"))[package]["version"]


def installed(package: str) -> dict[str, Any]:
  """The version, names and defaults of an installed package, from its source.

  Raises:
    LookupError: if it is not installed.
  """
  spec = util.find_spec(package)
  if spec is None or spec.origin is None:
    raise LookupError(f"{package} is not installed")
  root = Path(spec.origin).parent
  places, methods = PLACES[package]
  classes = _classes(root)
  names: dict[str, dict[str, str | None]] = {}
  for place in places:
    prefix = f"{place}." if package == "captum" and place != "attr" else ""
    for name, of in _listed(root / place / "__init__.py"):
      if package == "captum" and not _is_method_of_captum(of, place, classes):
        continue
      names[prefix + name] = dict(_settings(of, root / place, classes, methods))
  return {
    "version": metadata.version(DISTRIBUTIONS.get(package, package)),
    "names": dict(sorted(names.items())),
  }


def _listed(path: Path) -> Iterator[tuple[str, str]]:
  """(public name, class's name) of what a folder imports from its files."""
  for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
    if isinstance(node, ast.ImportFrom):
      yield from ((one.asname or one.name, one.name) for one in node.names if one.name != "Attack")
    elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name):
      of = _aliases(path).get(node.value.id, node.value.id)
      yield from ((one.id, of) for one in node.targets if isinstance(one, ast.Name))


@functools.cache
def _aliases(path: Path) -> dict[str, str]:
  assigned = ast.parse(path.read_text(encoding="utf-8")).body
  return {
    target.id: node.value.id
    for node in assigned
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Name)
    for target in node.targets
    if isinstance(target, ast.Name)
  }


def _classes(root: Path) -> dict[str, ast.ClassDef]:
  found: dict[str, ast.ClassDef] = {}
  for path in sorted(root.rglob("*.py")):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
      if isinstance(node, ast.ClassDef):
        found.setdefault(node.name, node)
  return found


def _is_method_of_captum(name: str, place: str, classes: Mapping[str, ast.ClassDef]) -> bool:
  if name in _BASES or "decorator" in name:
    return False
  if place != "attr":
    return True
  lines = {one.name for one in _line_of(name, classes)}
  return bool(lines & (_BASES | {"DataLoaderAttribution", "BaseLLMAttribution"}))


def _line_of(name: str, classes: Mapping[str, ast.ClassDef]) -> Iterator[ast.ClassDef]:
  """A class and all that it is made of."""
  if name in classes:
    yield classes[name]
    for base in classes[name].bases:
      of = ast.unparse(base).split("[")[0].split(".")[-1]
      if of != name:
        yield from _line_of(of, classes)


def _settings(
  name: str, place: Path, classes: Mapping[str, ast.ClassDef], methods: tuple[str, ...]
) -> Iterator[tuple[str, str | None]]:
  functions = [_method(name, method, classes) for method in methods]
  if name not in classes:
    functions = [_function(name, place)]
  for function in functions:
    if function is None:
      continue
    arguments = function.args
    given = [*arguments.posonlyargs, *arguments.args]
    missing = [None] * (len(given) - len(arguments.defaults))
    for argument, default in [
      *zip(given, [*missing, *arguments.defaults], strict=True),
      *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]:
      if argument.arg not in NOT_SETTINGS:
        yield argument.arg, None if default is None else ast.unparse(default)


def _method(name: str, method: str, classes: Mapping[str, ast.ClassDef]) -> ast.FunctionDef | None:
  for one in _line_of(name, classes):
    # The last of several is what runs; those before it are for type checkers.
    defined = [f for f in one.body if isinstance(f, ast.FunctionDef) and f.name == method]
    if defined:
      return defined[-1]
  return None


def _function(name: str, place: Path) -> ast.FunctionDef | None:
  for path in sorted(place.rglob("*.py")):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
      if isinstance(node, ast.FunctionDef) and node.name == name:
        return node
  return None


def main() -> None:
  """Writes the file anew from what is installed."""
  kept = {package: installed(package) for package in PLACES}
  DEFAULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
  main()
