"""Formulas as MathML, which browsers set by themselves: no script, no font, no network.

The translator is docutils' own. A formula that it cannot read ends the build.
"""

from typing import Any

from docutils import nodes
from docutils.utils.math import latex2mathml
from sphinx.application import Sphinx
from sphinx.errors import SphinxError


def translated(formula: str, *, display: bool) -> str:
  """The MathML of a formula.

  Args:
    formula: LaTeX.
    display: whether it stands in a line of its own.

  Raises:
    SphinxError: if it cannot be read.
  """
  try:
    return latex2mathml.tex2mathml(formula, as_block=display)
  except latex2mathml.MathError as error:
    raise SphinxError(f"formula {formula!r} cannot be read: {error}") from error


def setup(app: Sphinx) -> None:
  """Makes "mathml" a renderer of formulas."""

  def inline(translator: Any, node: nodes.Element) -> None:
    translator.body.append(translated(node.astext(), display=False))
    raise nodes.SkipNode

  def display(translator: Any, node: nodes.Element) -> None:
    formula = translated(node.astext(), display=True)
    translator.body.append(f'<div class="formula">{formula}</div>')
    raise nodes.SkipNode

  app.add_html_math_renderer("mathml", (inline, None), (display, None))
