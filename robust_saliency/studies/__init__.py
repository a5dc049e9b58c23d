"""One folder per measurement: its settings, what it measures, its page.

A study is a frozen dataclass (`Study`): its fields are what a config may set. To add one, make a
folder with it and enter it in `STUDIES`, in the order of the page; from outside the package,
`register` it.
"""

from collections.abc import Mapping
from typing import Any

from robust_saliency.core import checks, registry
from robust_saliency.core.settings import read
from robust_saliency.studies.accuracy import Accuracy
from robust_saliency.studies.batch_statistics import BatchStatistics
from robust_saliency.studies.boundary import Boundary
from robust_saliency.studies.class_maps import ClassMaps
from robust_saliency.studies.evaluation import Evaluation
from robust_saliency.studies.gradients import Gradients
from robust_saliency.studies.linear_robustness import LinearRobustness
from robust_saliency.studies.manifold import Manifold
from robust_saliency.studies.map_agreement import MapAgreement
from robust_saliency.studies.map_quality import MapQuality
from robust_saliency.studies.matched import Matched
from robust_saliency.studies.response import Response
from robust_saliency.studies.roar import Roar
from robust_saliency.studies.robustness import Robustness
from robust_saliency.studies.saliency import Saliency
from robust_saliency.studies.selection import Selection
from robust_saliency.studies.study import Measured, Study, run_study
from robust_saliency.studies.target_maps import TargetMaps
from robust_saliency.studies.targeted import Targeted
from robust_saliency.studies.transfer import Transfer

# Kind -> study, in the order of the page.
STUDIES: dict[str, type[Study]] = {
  study.kind: study
  for study in (
    Selection,
    Response,
    Accuracy,
    BatchStatistics,
    Robustness,
    Evaluation,
    Transfer,
    Gradients,
    LinearRobustness,
    Saliency,
    MapQuality,
    MapAgreement,
    Matched,
    ClassMaps,
    Roar,
    Manifold,
    Boundary,
    TargetMaps,
    Targeted,
  )
}

__all__ = ["STUDIES", "Measured", "Study", "read_study", "register", "run_study"]


def register(study: type[Study]) -> type[Study]:
  """Lets configs name a study of your own; usable as a decorator.

  Raises:
    ValueError: if its kind is taken.
  """
  return registry.register(STUDIES, study.kind, study, what="study")


def read_study(name: str, settings: Mapping[str, Any]) -> Study:
  """The study that a config describes: {"kind": one of `STUDIES`, and its settings}.

  Args:
    name: what the config calls it.
    settings: its entry.

  Raises:
    ValueError, TypeError: with the field's path, what was given and what is allowed.

  >>> read_study("clean", {"kind": "accuracy", "examples": 100}).examples
  100
  """
  where = f"studies.{name}"
  if not isinstance(settings, Mapping):
    raise TypeError(f"{where} must be fields with values, got {settings!r}")
  if "kind" not in settings:
    raise ValueError(f"{where} needs the field 'kind', one of {', '.join(STUDIES)}")
  checks.one_of(settings["kind"], STUDIES, argument=f"{where}.kind")
  own = {field: value for field, value in settings.items() if field != "kind"}
  return read(STUDIES[settings["kind"]], own, where)
