"""Parts of Markdown pages that are made.

kept-claims   what the kept reports of a paper say
names-of      the names of another package
experiment    an experiment's docstring
versions      what is tested
fields        all fields of a config
"""

from collections.abc import Callable
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from docs.building import findings, peers, texts


class _Made(SphinxDirective):
  """A part whose Markdown is made, of an argument or of nothing."""

  optional_arguments = 1
  # Makes the Markdown, and tells what it is made of: where that changes, so does the page.
  markdown: Callable[..., str]
  sources: Callable[..., list[Path]]

  def made(self) -> str:
    """Its Markdown."""
    return type(self).markdown(*self.arguments)

  def run(self) -> list[nodes.Node]:
    ours = sorted(Path(__file__).parent.glob("*.py"))
    for source in [*type(self).sources(*self.arguments), *ours]:
      self.env.note_dependency(str(source))
    part = nodes.container()
    text = StringList(self.made().splitlines(), source=self.name)
    self.state.nested_parse(text, 0, part)
    return part.children


def _directive(markdown: Callable[..., str], sources: Callable[..., list[Path]]) -> type[_Made]:
  parts = {"markdown": staticmethod(markdown), "sources": staticmethod(sources)}
  return type(markdown.__name__, (_Made,), parts)


class _KeptClaims(_Made):
  """What the kept reports of a paper say, with links to them."""

  sources = staticmethod(
    lambda paper: [run / "data" / "claims.json" for run in findings.kept_runs(paper)]
  )

  def made(self) -> str:
    """Its Markdown; the reports lie in `results/` of the site."""
    to_root = "../" * self.env.docname.count("/")
    return findings.markdown(*self.arguments, reports=f"{to_root}results")


def names_of(package: str) -> str:
  """The names of another package with their defaults: those that are here before the others."""
  entries = peers.entries(package)
  here = [_entry(one) for one in entries if one.here]
  gone = [_entry(one) for one in entries if one.why]
  title = peers.table(package)["title"]
  lines = [f"The {len(entries)} names are those of {title} {peers.version(package)}.", "", *here]
  return "\n".join([*lines, "", "**Not here**, and why:", "", *gone])


def _entry(entry: peers.Entry) -> str:
  settings = ", ".join(
    name if default is None else f"{name}={default}" for name, default in entry.defaults.items()
  )
  lines = [f"`{entry.name}`", f": `{settings}`" if settings else ": no settings"]
  if entry.here:
    lines += ["", f"  Here: `{entry.here}`"]
  for text in (entry.why, entry.note):
    lines += ["", f"  {text}"] if text else []
  return "\n".join([*lines, ""])


def setup(app: Sphinx) -> None:
  """Adds them all."""
  requirements = texts.ROOT / "requirements"
  made: dict[str, tuple[Callable[..., str], Callable[..., list[Path]]]] = {
    "names-of": (
      names_of,
      lambda package: [peers.DEFAULTS, peers.FOLDER / f"{package}.toml"],
    ),
    "experiment": (texts.experiment, lambda name: [texts.ROOT / "experiments" / f"{name}.py"]),
    "versions": (texts.versions, lambda: [requirements / one for one in texts.LOCKS]),
    "fields": (texts.fields, lambda: [texts.ROOT / "robust_saliency/pipeline/field_list.py"]),
  }
  app.add_directive("kept-claims", _KeptClaims)
  for name, (markdown, sources) in made.items():
    app.add_directive(name, _directive(markdown, sources))
