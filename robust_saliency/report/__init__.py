"""From study results to tables, figures and one HTML page.

  write       everything below, into one folder
  SECTIONS    which kind of study becomes which section; a new kind is a line there

One file per section (`claims`, `accuracy`, `saliency`, `targeted`, ...; `kinds` has their order)
makes it out of the building blocks of `section`; `page` sets them as HTML. `canvas` and `palette`
hold the figures' common look, `mosaic` the grids of images, and `formatting` how numbers are
printed. Intervals are those of `results`, as in the claims.
"""

from robust_saliency.drawing.section import Picture, Row, RowGroup, Section, Sheet, Table
from robust_saliency.report.folder import write
from robust_saliency.report.kinds import SECTIONS

__all__ = ["SECTIONS", "Picture", "Row", "RowGroup", "Section", "Sheet", "Table", "write"]
