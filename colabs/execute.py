"""Executes the notebooks of this folder, and keeps what their cells show.

  python colabs/execute.py                        all of them, in place
  python colabs/execute.py ross2018               one
  python colabs/execute.py --dry ross2018 EXPERIMENT=ross2018:smoke
                                                  one with a form field set; nothing is written

Without Jupyter, so that tests need nothing else than the package does: a cell is executed as a
module's code is, and its last expression, its text and its figures are kept as a kernel would send
them. Lines that begin with % or ! are commands to Jupyter and are left out. What is written to
stderr is progress, with times that are nobody else's: it is shown and not kept.

What notebooks keep goes into runs/colabs, which git ignores, and is resumed there as on Google
Drive.
"""

import argparse
import ast
import base64
import contextlib
import io
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl

FOLDER = Path(__file__).resolve().parent
KEPT = FOLDER.parent / "runs" / "colabs"
# Of a form field: its name and value, and what Colab makes its form of.
FIELD = re.compile(r"^(?P<name>[A-Z_]+) = (?P<value>.*?)  # @param (?P<form>.*)$", re.MULTILINE)
METADATA = {
  "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
  "language_info": {"name": "python"},
}
DOTS_PER_INCH = 90
WRITE_FILE = "%%writefile "

Notebook = dict[str, Any]


def read(path: Path) -> Notebook:
  """A notebook's JSON."""
  return json.loads(path.read_text(encoding="utf-8"))


def source(cell: Mapping[str, Any]) -> str:
  """A cell's text."""
  return "".join(cell["source"])


def code_cells(notebook: Notebook) -> list[dict[str, Any]]:
  """The cells that are executed."""
  return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def fields(notebook: Notebook) -> dict[str, Any]:
  """Form field -> its value as it is committed."""
  return {
    found["name"]: ast.literal_eval(found["value"])
    for cell in code_cells(notebook)
    for found in FIELD.finditer(source(cell))
  }


def with_fields(text: str, given: Mapping[str, Any]) -> str:
  """A cell's code with other values in its form fields.

  >>> with_fields('EPOCHS = 20  # @param {type:"integer"}', {"EPOCHS": 1})
  'EPOCHS = 1  # @param {type:"integer"}'
  """

  def field(found: re.Match[str]) -> str:
    value = repr(given[found["name"]]) if found["name"] in given else found["value"]
    return f"{found['name']} = {value}  # @param {found['form']}"

  return FIELD.sub(field, text)


def python(text: str) -> str:
  """A cell's code without commands to Jupyter; lines keep their numbers."""
  return "\n".join("" if line[:1] in ("%", "!") else line for line in text.splitlines())


def execute(
  notebook: Notebook, *, name: str, given: Mapping[str, Any] | None = None
) -> tuple[Notebook, dict[str, Any]]:
  """Runs a notebook from top to bottom in this process and working directory.

  Args:
    notebook: see `read`.
    name: for tracebacks.
    given: form field -> another value.

  Returns:
    The same notebook with its outputs and nothing else that a run would leave in it, and the names
    that it has defined.

  Raises:
    ValueError: for a field that it does not have.
  """
  unknown = set(given or {}) - set(fields(notebook))
  if unknown:
    raise ValueError(
      f"fields must be of {', '.join(fields(notebook))}; got {', '.join(sorted(unknown))}"
    )
  names: dict[str, Any] = {"__name__": "__main__"}
  cells = []
  for number, cell in enumerate(notebook["cells"]):
    text = source(cell)
    kept = {
      "cell_type": cell["cell_type"],
      "id": f"{name}-{number}",
      "metadata": {},
      "source": text.splitlines(keepends=True),
    }
    if cell["cell_type"] == "code":
      shown = _execute(with_fields(text, given or {}), names, where=f"{name}, cell {number}")
      kept |= {"execution_count": None, "outputs": shown}
    cells.append(dict(sorted(kept.items())))
  done = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
  return done, names


def written(notebook: Notebook) -> str:
  """A notebook as Jupyter writes it."""
  return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _execute(text: str, names: dict[str, Any], *, where: str) -> list[dict[str, Any]]:
  """Executes a cell, or writes the file that it is."""
  if text.startswith(WRITE_FILE):
    name, _, content = text.removeprefix(WRITE_FILE).partition("\n")
    Path(name.strip()).write_text(content, encoding="utf-8")
    return []
  return _run(python(text), names, where=where)


def _run(code: str, names: dict[str, Any], *, where: str) -> list[dict[str, Any]]:
  """Executes one cell and returns its outputs."""
  import matplotlib.pyplot as plt

  outputs: list[dict[str, Any]] = []
  stdout = io.StringIO()

  def say() -> None:
    if text := stdout.getvalue():
      lines = text.splitlines(keepends=True)
      outputs.append({"name": "stdout", "output_type": "stream", "text": lines})
      stdout.seek(0)
      stdout.truncate()

  def show(value: Any) -> None:
    say()
    data, about = _bundle(value)
    outputs.append({"data": data, "metadata": about, "output_type": "display_data"})

  def show_figures() -> None:
    for number in plt.get_fignums():
      show(plt.figure(number))
    plt.close("all")

  tree = ast.parse(code)
  last = tree.body[-1] if tree.body else None
  before, plt.show = plt.show, lambda *args, **kwargs: show_figures()
  try:
    with contextlib.redirect_stdout(stdout):
      if isinstance(last, ast.Expr):
        first = ast.Module(tree.body[:-1], [])
        exec(compile(first, where, "exec"), names)
        value = eval(compile(ast.Expression(last.value), where, "eval"), names)
        if value is not None:
          show(value)
      else:
        exec(compile(tree, where, "exec"), names)
    show_figures()
    say()
  finally:
    plt.show = before
  return outputs


def _bundle(value: Any) -> tuple[dict[str, Any], dict[str, Any]]:
  """What a kernel sends of a value: its text, its picture or table, and how wide that is."""
  data: dict[str, Any] = {"text/plain": repr(value).splitlines(keepends=True)}
  about: dict[str, Any] = {}
  html = getattr(value, "_repr_html_", lambda: None)()
  png = getattr(value, "_repr_png_", lambda: None)()
  if isinstance(value, mpl.figure.Figure):
    png = _drawn(value)
  if isinstance(png, tuple):
    png, about = png[0], {"image/png": png[1]}
  if html:
    data = {"text/html": html.splitlines(keepends=True), **data}
  if png:
    data = {"image/png": base64.b64encode(png).decode() + "\n", **data}
  return data, about


def _drawn(figure: Any) -> bytes:
  from robust_saliency.drawing.canvas import indexed

  png = io.BytesIO()
  about = {"format": "png", "bbox_inches": "tight", "metadata": {"Software": None}}
  figure.savefig(png, dpi=DOTS_PER_INCH, **about)
  return indexed(png.getvalue())


def main() -> None:
  """The command."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
  parser.add_argument("--dry", action="store_true", help="write nothing")
  parser.add_argument("words", nargs="*", help="notebooks' names, and FIELD=VALUE")
  options = parser.parse_args()
  given = dict(word.split("=", 1) for word in options.words if "=" in word)
  names = [word for word in options.words if "=" not in word]
  paths = [FOLDER / f"{name}.ipynb" for name in names] or sorted(FOLDER.glob("*.ipynb"))
  mpl.use("Agg")
  if not options.dry:
    KEPT.mkdir(parents=True, exist_ok=True)
    os.chdir(KEPT)
  for path in paths:
    notebook = read(path)
    committed = fields(notebook)
    wanted = {
      name: value if isinstance(committed.get(name), str) else ast.literal_eval(value)
      for name, value in given.items()
    }
    done, _ = execute(notebook, name=path.stem, given=wanted)
    if not options.dry:
      path.write_text(written(done), encoding="utf-8")
    print(path.stem, file=sys.stderr)


if __name__ == "__main__":
  main()
