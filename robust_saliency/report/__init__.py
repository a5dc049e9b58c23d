"""One HTML page from the claims and the studies' pages.

  write    a folder with the page, its figures and its data

`claims` makes the tables of claims, `page` sets everything as HTML, `folder` writes the files.
"""

from robust_saliency.report.folder import write

__all__ = ["write"]
