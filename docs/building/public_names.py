"""Which names have a page: what the folders call public, and every study."""

import importlib
import inspect
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

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
)


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


def public_names() -> list[PublicName]:
  """All of them, folder by folder.

  >>> [one.path for one in public_names() if one.name == "pgd"]
  ['robust_saliency.attacks.pgd']
  """
  # Configs name studies by their kind, so that their classes are public without being listed.
  studies = {study.__name__: study for study in folder("studies").STUDIES.values()}
  names = [
    (one, name, getattr(folder(one), name)) for one in FOLDERS for name in folder(one).__all__
  ]
  names += [("studies", name, study) for name, study in studies.items()]
  alike = Counter(f"{one}.{name}".lower() for one, name, _ in names)

  def page(one: str, name: str) -> str:
    # Some file systems cannot tell Term from term.
    taken = alike[f"{one}.{name}".lower()] > 1 and name != name.lower()
    return f"{one}.{name}-class" if taken else f"{one}.{name}"

  return [PublicName(one, name, value, page(one, name)) for one, name, value in names]
