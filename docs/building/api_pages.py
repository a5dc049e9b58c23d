"""The pages of the API: one a public name, one a folder, from signatures and docstrings alone."""

import ast
import functools
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from docs.building import docstrings, signatures
from docs.building.public_names import FOLDERS, LAUNCHING, PublicName, folder, public_names

ROOT = Path(__file__).resolve().parents[2]
# The order of a folder's page.
_HEADINGS = {
  "function": "Functions",
  "class": "Classes",
  "module": "Modules",
  "table": "Tables of names",
  "value": "Values and types",
}


@functools.cache
def _paths() -> dict[str, str]:
  """All ways in which text names something: "pgd" (where it is alone), "attacks.pgd", in full."""
  names = public_names()
  alone: dict[str, set[str]] = {}
  for one in (name for name in names if name.folder not in LAUNCHING):
    alone.setdefault(one.name, set()).add(one.path)
  paths = {name: next(iter(of)) for name, of in alone.items() if len(of) == 1}
  paths |= {name: f"robust_saliency.{name}" for name in FOLDERS}
  for one in names:
    paths |= {one.path: one.path, f"{one.folder}.{one.name}": one.path}
  return paths


def resolve(code: str, within: str | None = None) -> str | None:
  """The path of the public name that code is, or None.

  Args:
    code: such as "pgd", "attacks.pgd" or "x + 1".
    within: the folder whose names go before those of others.

  >>> resolve("attacks.pgd"), resolve("register", "data"), resolve("register"), resolve("x + 1")
  ('robust_saliency.attacks.pgd', 'robust_saliency.data.register', None, None)
  """
  return _paths().get(f"{within}.{code}") or _paths().get(code)


def write_pages(directory: Path) -> None:
  """Writes all pages, leaves those that are as they should be, and removes what has no name."""
  pages = {f"{one.page}.rst": page(one) for one in public_names()}
  pages |= {f"{name}.rst": folder_page(name) for name in FOLDERS}
  directory.mkdir(parents=True, exist_ok=True)
  for stale in {path.name for path in directory.glob("*.rst")} - pages.keys():
    (directory / stale).unlink()
  for name, text in pages.items():
    path = directory / name
    if not path.exists() or path.read_text(encoding="utf-8") != text:
      path.write_text(text, encoding="utf-8")


def folder_page(name: str) -> str:
  """A folder: what it is, and a line for each of its names."""
  one = functools.partial(resolve, within=name)
  module = folder(name)
  lines = [
    *_heading(f"``{name}``", "="),
    f".. py:module:: robust_saliency.{name}",
    "",
    docstrings.converted(docstrings.of(module), one),
  ]
  names = [public for public in public_names() if public.folder == name]
  for kind, heading in _HEADINGS.items():
    of_kind = [public for public in names if public.kind == kind]
    if of_kind:
      lines += ["", *_heading(heading, "-"), *(_line(public) for public in of_kind)]
  return "\n".join([*lines, ""])


def page(one: PublicName) -> str:
  """The page of one name."""
  body = {
    "function": _function,
    "class": _class,
    "module": _module,
    "table": _table,
    "value": _value,
  }[one.kind](one)
  # In the table of contents, 250 names would stand beside each of as many pages.
  return "\n".join(
    [
      ":orphan:",
      "",
      *_heading(f"``{one.name}``", "="),
      f":doc:`robust_saliency.{one.folder} <{one.folder}>`",
      "",
      f".. py:currentmodule:: robust_saliency.{one.folder}",
      "",
      *body,
      "",
      *_where(one),
      "",
    ]
  )


def _heading(text: str, line: str) -> list[str]:
  return [text, line * len(text), ""]


def _line(one: PublicName) -> str:
  say = functools.partial(resolve, within=one.folder)
  told = docstrings.summary(docstrings.of(one.value)) if one.kind not in ("table", "value") else ""
  told = told or _told(one)
  text = docstrings.inline(told, say) if told else ""
  return f"- :py:obj:`{one.name} <{one.path}>`" + (f": {text}" if text else "")


def _told(one: PublicName) -> str:
  """A word on what has no docstring."""
  if one.kind == "table":
    return f"{len(one.value)} names that configs use."
  comment = _comment(one).replace("\n", " ")
  return comment or ("" if callable(one.value) else f"`{signatures.default(one.value)}`.")


def _directive(kind: str, name: str, docstring: str, folder_name: str) -> list[str]:
  # An argument is no name of ours, though one may be called the same.
  arguments = set(re.findall(r"(\w+)(?::|=|,|\))", name.partition("(")[2]))

  def known(code: str) -> str | None:
    return None if code in arguments else resolve(code, folder_name)

  text = docstrings.converted(docstring, known)
  body = [f"   {line}" if line.strip() else "" for line in text.splitlines()]
  return [f".. py:{kind}:: {name}", "", *body, ""]


def _function(one: PublicName) -> list[str]:
  call = f"{one.name}{signatures.signature(one.value)}"
  return _directive("function", call, docstrings.of(one.value), one.folder)


def _class(one: PublicName) -> list[str]:
  call = f"{one.name}{signatures.signature(one.value)}"
  lines = _directive("class", call, docstrings.of(one.value), one.folder)
  for kind, name, docstring in _members(one.value):
    member = _directive(kind, name, docstring, one.folder)
    lines += [f"   {line}" if line.strip() else "" for line in member]
  return lines


def _members(of: type) -> Iterator[tuple[str, str, str]]:
  """What a class itself defines and documents."""
  for name, member in vars(of).items():
    if name.startswith("_"):
      continue
    if isinstance(member, property | functools.cached_property):
      if member.__doc__:
        yield "property", name, inspect.cleandoc(member.__doc__)
      continue
    function = getattr(member, "__func__", member)
    if inspect.isfunction(function) and function.__doc__:
      call = f"{name}{signatures.signature(getattr(of, name))}".replace("(self, ", "(")
      kind = "staticmethod" if isinstance(member, staticmethod) else "method"
      kind = "classmethod" if isinstance(member, classmethod) else kind
      yield kind, call.replace("(self)", "()"), docstrings.of(function)


def _module(one: PublicName) -> list[str]:
  lines = _directive("module", one.path, "", one.folder)
  say = functools.partial(resolve, within=one.folder)
  lines += [docstrings.converted(docstrings.of(one.value), say), ""]
  for name, function in vars(one.value).items():
    own = getattr(function, "__module__", None) == one.value.__name__
    if inspect.isfunction(function) and own and not name.startswith("_"):
      call = f"{name}{signatures.signature(function)}"
      lines += _directive("function", call, docstrings.of(function), one.folder)
  return lines


def _table(one: PublicName) -> list[str]:
  lines = _directive("data", one.name, f"{len(one.value)} names that configs use.", one.folder)
  by_value = {id(other.value): other for other in reversed(public_names())}
  for name, value in one.value.items():
    other = by_value.get(id(value))
    told = docstrings.summary(docstrings.of(value))
    title = getattr(value, "title", told) if isinstance(value, object) else told
    title = title if isinstance(title, str) else told
    text = docstrings.inline(title, functools.partial(resolve, within=one.folder))
    link = f":py:obj:`{name} <{other.path}>`" if other else f"``{name}``"
    lines.append(f"   - {link}: {text}" if text else f"   - {link}")
  return lines


def _value(one: PublicName) -> list[str]:
  kind = type(one.value)
  docstring = _comment(one)
  if kind.__module__.startswith("robust_saliency"):
    docstring = docstring or f"A `{kind.__name__}`, the one with the name {one.value.name!r}."
  lines = _directive("data", one.name, docstring, one.folder)
  if not kind.__module__.startswith("robust_saliency"):
    source, _, _ = _assignment(one)
    lines += ["   .. code-block:: python", "", *(f"      {line}" for line in source.splitlines())]
  return lines


def _comment(one: PublicName) -> str:
  """The comment above an assignment."""
  _, number, lines = _assignment(one)
  comment: list[str] = []
  while number and lines[number - 1].startswith("#"):
    number -= 1
    comment.insert(0, lines[number].removeprefix("#").strip())
  return "\n".join(comment)


def _assignment(one: PublicName) -> tuple[str, int, list[str]]:
  """(source, its line counted from 0, all lines of its file) of what a name is assigned."""
  module: ModuleType | None = folder(one.folder)
  while module is not None:
    source = inspect.getsource(module)
    came_from = None
    for statement in ast.parse(source).body:
      targets: list[Any] = getattr(statement, "targets", [getattr(statement, "target", None)])
      if one.name in (getattr(target, "id", None) for target in targets):
        text = ast.get_source_segment(source, statement) or ""
        return text, statement.lineno - 1, source.splitlines()
      if isinstance(statement, ast.ImportFrom) and statement.module:
        if one.name in (alias.name for alias in statement.names):
          came_from = statement.module
    module = importlib.import_module(came_from) if came_from else None
  raise LookupError(f"{one.path} is assigned nowhere")


def _where(one: PublicName) -> list[str]:
  """The file, with its first sentence, so that its words are found, too."""
  value = inspect.unwrap(one.value) if callable(one.value) else one.value
  module = value if isinstance(value, ModuleType) else inspect.getmodule(value)
  path = getattr(module, "__file__", None)
  if module is None or path is None or not Path(path).is_relative_to(ROOT):
    return []
  lines = [f"Defined in ``{Path(path).relative_to(ROOT).as_posix()}``"]
  if module is value or not module.__doc__:
    return [f"{lines[0]}."]
  told = docstrings.summary(docstrings.of(module))
  return [f"{lines[0]}: {docstrings.inline(told, functools.partial(resolve, within=one.folder))}"]
