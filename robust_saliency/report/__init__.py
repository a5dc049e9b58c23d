"""One HTML page from the claims and the studies' pages.

  write           a folder with the page, its figures and its data
  Findings        what is written: all that the page shows and the claims rest on
  read_findings   the same from a folder, to draw its page anew
  comparison      several runs side by side, as text and as sections; `write_sections` writes those

`claims` makes the tables of claims, `page` and `questionnaire` set
everything as HTML by what `html` has for both, `folder` writes the files.
"""

from robust_saliency.report.findings import Findings, read_findings
from robust_saliency.report.folder import Page, write, write_sections

__all__ = ["Findings", "Page", "read_findings", "write", "write_sections"]
