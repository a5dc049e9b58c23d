"""Code that is a public name, or a call of one, links to its page: in signatures and Markdown."""

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from docs.building.api_pages import resolve


def _missing(
  app: Sphinx, env: BuildEnvironment, node: addnodes.pending_xref, contnode: nodes.Element
) -> nodes.Element | None:
  if node.get("refdomain") != "py":
    return None
  within = (node.get("py:module") or "").removeprefix("robust_saliency.")
  path = resolve(node["reftarget"], within)
  if path is not None and path != node["reftarget"]:
    python = env.get_domain("py")
    document = node.get("refdoc", env.docname)
    return python.resolve_xref(env, document, app.builder, "obj", path, node, contnode)
  # The types of a signature and errors: other packages' have no page here.
  return contnode if node["reftype"] in ("class", "exc") else None


def _linked(app: Sphinx, tree: nodes.document) -> None:
  """Code in Markdown such as `attacks.pgd` and `attacks.pgd(steps=10)`."""
  if app.env.doc2path(app.env.docname).suffix != ".md":
    return
  for literal in list(tree.findall(nodes.literal)):
    code = re.match(r"([\w.]+)(?:\(.*\))?$", literal.astext(), re.DOTALL)
    path = resolve(code.group(1)) if code and "." in code.group(1) else None
    if path is None or isinstance(literal.parent, nodes.reference | addnodes.pending_xref):
      continue
    options: dict[str, Any] = {"refdomain": "py", "reftype": "obj", "reftarget": path}
    link = addnodes.pending_xref("", refdoc=app.env.docname, refexplicit=True, **options)
    literal.replace_self(link)
    link += literal


def setup(app: Sphinx) -> None:
  """Connects both."""
  app.connect("missing-reference", _missing)
  app.connect("doctree-read", _linked)
