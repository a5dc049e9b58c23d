"""One HTML page from the claims and the studies' pages.

  write           a folder with the page, its figures and its data
  write_section   a page of one section alone
  Findings        what is written: all that the page shows and the claims rest on
  read_findings   the same from a folder, to draw its page anew

`claims` makes the tables of claims, `page` sets everything as HTML, `folder` writes the files.
"""

from robust_saliency.report.findings import Findings, read_findings
from robust_saliency.report.folder import Page, write, write_section

__all__ = ["Findings", "Page", "read_findings", "write", "write_section"]
