"""Which names have a page: what folders and files call public, and every study."""

import importlib
import inspect
import operator
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

# What starts experiments. Their names are words that stand for other things elsewhere, "run" say.
LAUNCHING = ("configs", "notebook", "pipeline", "report")

# In the order of a lecture; `core` is what the others build on.
FOLDERS = (
  "attacks",
  "attributions",
  "objectives",
  "models",
  "data",
  "training",
  "results",
  "studies",
  "drawing",
  "core",
  *LAUNCHING,
)

# Public without being listed by their folder: it has a folder of its own within it.
WITHIN = (("studies", "roar.remove_and_retrain"),)


@dataclass(frozen=True)
class PublicName:
  """A name and what it stands for.

  Attributes:
    folder: such as "attacks".
    name: such as "pgd".
    value: the function, class, table or module.
    page: its page, without an ending: "attacks.pgd".
  """

  folder: str
  name: str
  value: Any
  page: str

  @property
  def path(self) -> str:
    """Where it is imported from: "robust_saliency.attacks.pgd"."""
    return f"robust_saliency.{self.folder}.{self.name}"

  @property
  def kind(self) -> str:
    """One of "function", "class", "module", "table" and "value"."""
    if isinstance(self.value, ModuleType):
      return "module"
    if isinstance(self.value, Mapping):
      return "table"
    if inspect.isclass(self.value):
      # `Key` is a class of JAX's under a name of ours.
      return "class" if self.value.__module__.startswith("robust_saliency") else "value"
    made_of_types = hasattr(self.value, "__origin__")
    return "function" if callable(self.value) and not made_of_types else "value"


def folder(name: str) -> ModuleType:
  """A folder of the package."""
  return importlib.import_module(f"robust_saliency.{name}")


def listed(name: str) -> list[str]:
  """What a folder calls public; of a single file, the functions and classes that it defines.

  >>> listed("notebook")
  ['folder', 'run', 'load', 'Run', 'Shown']
  """
  module = folder(name)
  if hasattr(module, "__all__"):
    return list(module.__all__)
  return [
    own
    for own, value in vars(module).items()
    if not own.startswith("_") and getattr(value, "__module__", None) == module.__name__
  ]


def public_names() -> list[PublicName]:
  """All of them, folder by folder.

  >>> [one.path for one in public_names() if one.name == "pgd"]
  ['robust_saliency.attacks.pgd']
  """
  # Configs name studies by their kind, so that their classes are public without being listed.
  studies = {study.__name__: study for study in folder("studies").STUDIES.values()}
  names = [(one, name, getattr(folder(one), name)) for one in FOLDERS for name in listed(one)]
  names += [(one, name, operator.attrgetter(name)(folder(one))) for one, name in WITHIN]
  names += [("studies", name, study) for name, study in studies.items()]
  alike = Counter(f"{one}.{name}".lower() for one, name, _ in names)

  def page(one: str, name: str) -> str:
    # Some file systems cannot tell Term from term.
    taken = alike[f"{one}.{name}".lower()] > 1 and name != name.lower()
    return f"{one}.{name}-class" if taken else f"{one}.{name}"

  return [PublicName(one, name, value, page(one, name)) for one, name, value in names]
