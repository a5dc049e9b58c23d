"""A docstring, which is plain text, as reStructuredText.

What stands in backticks is code, and a link where it is a public name; an indented block is an
equation or a listing, and stays as it is; `Args`, `Returns` and the like become fields. Everything
else is text, in which no sign means anything.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

# Code -> the path of the public name that it is, or None.
Resolve = Callable[[str], str | None]

SECTIONS = ("Args", "Attributes", "Raises", "Returns", "Yields")
_FIELD = {"Args": "param {}", "Attributes": "ivar {}", "Raises": "raises {}"}
_ENTRY = re.compile(r"^(\*{0,2}[\w. ,*]+?):(?:\s+(.*)|$)")


def of(value: Any) -> str:
  """The docstring of a function, class or module; "" where it has none of its own."""
  return inspect.cleandoc(value.__doc__ or "")


def summary(docstring: str) -> str:
  """Its first sentence, which stands in a line of its own."""
  return docstring.split("\n\n")[0].replace("\n", " ")


def inline(text: str, resolve: Resolve) -> str:
  r"""Text with code in backticks.

  >>> inline("`pgd` takes 2 * *x_* from `a -> b`s.", {"pgd": "robust_saliency.attacks.pgd"}.get)
  ':py:obj:`pgd <robust_saliency.attacks.pgd>` takes 2 \\* \\*x\\_\\* from ``a -> b``\\ s.'
  """
  parts = re.split(r"(``[^`]+``|`[^`]+`)", text)
  out = ""
  for i, part in enumerate(parts):
    if i % 2 == 0:
      out += re.sub(r"([\\*_|`])", r"\\\1", part)
      continue
    code = part.strip("`")
    target = resolve(code.removesuffix("()"))
    # A role ends where a word would go on.
    before = "\\ " if out and re.search(r"\w\Z", out) else ""
    after = "\\ " if i + 1 < len(parts) and re.match(r"\w", parts[i + 1]) else ""
    role = f":py:obj:`{code} <{target}>`" if target else f"``{code}``"
    out += before + role + after
  return out


def converted(docstring: str, resolve: Resolve) -> str:
  r"""A whole docstring as reStructuredText.

  Args:
    docstring: without common indentation.
    resolve: tells which code is a public name.

  >>> print(converted("Adds.\n\n  a + b\n\nArgs:\n  a: one\n    number.\n", lambda _: None))
  Adds.
  <BLANKLINE>
  .. code-block:: text
  <BLANKLINE>
     a + b
  <BLANKLINE>
  :param a: one
     number.
  """
  out: list[str] = []
  for block in _blocks(docstring.splitlines()):
    out += [*_block(block, resolve), ""]
  return "\n".join(out).rstrip()


def _blocks(lines: list[str]) -> Iterator[list[str]]:
  """Lines that belong together: a section, a listing, an example, a point, a paragraph."""
  block: list[str] = []
  for line in lines:
    if block and line.strip() and _begins(block, line):
      yield block
      block = []
    if block or line.strip():
      block.append(line)
  if block:
    yield block


def _begins(block: list[str], line: str) -> bool:
  """Whether a line is the first of another block."""
  indented, first = line.startswith(" "), block[0]
  if _section(first) or first.startswith(" "):
    return not indented
  if _section(line) or line.startswith("- ") or not block[-1].strip():
    return True
  return indented and not first.startswith(("- ", ">>>"))


def _section(line: str) -> str | None:
  name = line.rstrip().removesuffix(":")
  return name if line.rstrip().endswith(":") and name in SECTIONS else None


def _block(block: list[str], resolve: Resolve) -> list[str]:
  while not block[-1].strip():
    block = block[:-1]
  section = _section(block[0])
  if section in ("Returns", "Yields"):
    body = converted(inspect.cleandoc("\n".join(block[1:])), resolve).splitlines()
    field = f":{section.lower()}:"
    return [f"{field} {body[0]}", *_indented(body[1:])]
  if section:
    return list(_fields(section, block[1:], resolve))
  if block[0].startswith(">>>"):
    return block
  if block[0].startswith(" "):
    return [".. code-block:: text", "", *_indented(inspect.cleandoc("\n".join(block)).splitlines())]
  return inline("\n".join(block), resolve).splitlines()


def _fields(section: str, lines: list[str], resolve: Resolve) -> Iterator[str]:
  name, body = "", [""]
  for line in [*inspect.cleandoc("\n".join(lines)).splitlines(), "end:"]:
    entry = None if line.startswith(" ") else _ENTRY.match(line)
    if entry is None:
      body.append(line)
      continue
    if name:
      text = inspect.cleandoc("\n".join(body))
      rest = converted(text, resolve).splitlines()
      # Sphinx takes a star in a field's name for emphasis.
      field = _FIELD[section].format(name.replace("*", r"\*"))
      yield from (f":{field}: {rest[0] if rest else ''}", *_indented(rest[1:]))
    name, body = entry.group(1), [entry.group(2) or ""]


def _indented(lines: list[str]) -> list[str]:
  return [f"   {line}" if line.strip() else "" for line in lines]
