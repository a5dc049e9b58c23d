"""Parts of pages that stand in files already: an experiment's docstring, versions, fields."""

import ast
import re
from pathlib import Path

from docs.building import docstrings

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("lock-py311.txt", "lock-py312.txt", "lower.txt")
_SHOWN = ("jax", "jaxlib", "flax", "optax", "numpy")


def experiment(name: str) -> str:
  """The docstring of an experiment, which says how it is launched, as Markdown."""
  path = ROOT / "experiments" / f"{name}.py"
  if not path.exists():
    return "There is no experiment of it yet; its functions take any network."
  source = path.read_text(encoding="utf-8")
  return of_docstring(ast.get_docstring(ast.parse(source)) or "")


def of_docstring(docstring: str) -> str:
  r"""A docstring without sections as Markdown: what is indented is a listing.

  >>> of_docstring("Two\nlines * here.\n\n  a  b\n\n  c")
  'Two\nlines \\* here.\n\n```text\na  b\n\nc\n```'
  """
  parts: list[str] = []
  for block in docstring.split("\n\n"):
    if not block.startswith("  "):
      parts.append(_escaped(block))
      continue
    body = "\n".join(line.removeprefix("  ") for line in block.splitlines())
    if parts and parts[-1].endswith("\n```"):
      parts[-1] = parts[-1].removesuffix("```") + f"\n{body}\n```"
    else:
      parts.append(f"```text\n{body}\n```")
  return "\n\n".join(parts)


def _escaped(text: str) -> str:
  """Text in which no sign means anything to Markdown, apart from backticks."""
  parts = text.split("`")
  parts[::2] = [re.sub(r"([\\*_<\[$|])", r"\\\1", part) for part in parts[::2]]
  return "`".join(parts)


def versions() -> str:
  """The versions with which everything is tested, as a Markdown list."""
  lines = []
  for lock in LOCKS:
    text = (ROOT / "requirements" / lock).read_text(encoding="utf-8")
    pinned = dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))
    shown = ", ".join(f"{name} {pinned[name]}" for name in _SHOWN)
    about = text.splitlines()[0].removeprefix("# ").rstrip(".")
    lines.append(f"- `requirements/{lock}` ({docstrings.summary(about)}): {shown}")
  return "\n".join(lines)


def fields() -> str:
  """All fields of a config, as `robust-saliency main --list_fields` prints them."""
  from robust_saliency.pipeline.field_list import lines

  return "```text\n" + "\n".join(lines()) + "\n```"
