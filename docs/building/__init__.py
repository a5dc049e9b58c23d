"""What the site shows beside Markdown: made from the package, its results and its peers' names.

public_names    which names have a page
docstrings      a docstring, which is plain text, as reStructuredText
signatures      how a function is called, in short words
api_pages       one page a name, one a folder
findings        what the kept reports say, from the claims stored beside them
peers           where the names of other packages are here
directives      these two as parts of Markdown pages
references      code that is a public name is a link to its page
reports         the kept reports, as files of the site
mathml          formulas without scripts
links           whether every link within the site leads somewhere

`docs/conf.py` loads this folder as a Sphinx extension.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from sphinx.application import Sphinx


def setup(app: "Sphinx") -> dict[str, Any]:
  """Called by Sphinx."""
  from docs.building import api_pages, directives, mathml, references, reports

  api_pages.write_pages(Path(app.srcdir) / "api")
  mathml.setup(app)
  references.setup(app)
  directives.setup(app)
  reports.setup(app)
  return {"parallel_read_safe": True, "parallel_write_safe": True}
