"""Which function makes the report's section from which kind of study."""

from collections.abc import Callable, Sequence

from robust_saliency.core.checks import did_you_mean
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.report import (
  accuracy,
  evaluation,
  gradients,
  map_quality,
  robustness,
  saliency,
  selection,
  targeted,
  transfer,
)
from robust_saliency.studies.result import StudyResult

# Kind -> section, in the order of the page. A new kind of study is a file with such a function
# and a line here.
SECTIONS: dict[str, Callable[[StudyResult, dict[str, Style]], Section]] = {
  "selection": selection.section,
  "accuracy": accuracy.section,
  "robustness": robustness.section,
  "evaluation": evaluation.section,
  "transfer": transfer.section,
  "gradients": gradients.section,
  "saliency": saliency.section,
  "map_quality": map_quality.section,
  "targeted": targeted.section,
}


def check_kinds(results: Sequence[StudyResult]) -> None:
  """Refuses a study that no section shows; better before the work than after it.

  >>> check_kinds([StudyResult("clean", "acuracy", {}, {})])
  Traceback (most recent call last):
  ValueError: study 'clean' is of kind 'acuracy', which the report cannot show (did you mean \
'accuracy'?); it shows selection, accuracy, \
robustness, evaluation, transfer, gradients, saliency, \
map_quality, targeted
  """
  for result in results:
    if result.kind not in SECTIONS:
      raise ValueError(
        f"study {result.name!r} is of kind {result.kind!r}, which the report cannot show"
        f"{did_you_mean(result.kind, SECTIONS)}; it shows {', '.join(SECTIONS)}"
      )


def page_order(results: Sequence[StudyResult]) -> list[StudyResult]:
  """The studies in the order of the page; those of one kind stay as they were given."""
  order = list(SECTIONS)
  return sorted(results, key=lambda result: order.index(result.kind))
