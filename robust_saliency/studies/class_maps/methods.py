"""What a map of a class may be made by: a rule over local explanations, a method, or a control."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from robust_saliency.attributions import AGGREGATIONS
from robust_saliency.core import checks
from robust_saliency.core.settings import read
from robust_saliency.data import Dataset
from robust_saliency.studies.class_maps.controls import CONTROLS, RANDOM
from robust_saliency.studies.class_maps.explaining import local_settings
from robust_saliency.studies.importance import Importance

# How the maps of single images become that of a class, where no rule says it.
MEAN = "mean_absolute"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rule:
  """An aggregation of LIME's local explanations.

  Attributes:
    rule: a name of `attributions.AGGREGATIONS`.
    blank: whether parts of an image that look the same when they are hidden are "absent" from its
      explanation, or "counted": on a black background half of a digit's blocks are, and their
      coefficients are the regression's noise.
    evidence: "all" of an explanation, or what speaks for its class, "positive" coefficients.
    local: LIME's settings where they differ from the study's.
    label: what the report calls it.
  """

  rule: str
  blank: Literal["absent", "counted"] = "absent"
  evidence: Literal["all", "positive"] = "all"
  local: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  label: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class WithoutNetwork:
  """A map that knows no network.

  Attributes:
    control: "random", "variance" or "anova_f", see `controls`.
    label: what the report calls it.
  """

  control: str
  label: str | None = None


Method = Rule | WithoutNetwork | Importance


def read_method(
  name: str,
  settings: Mapping[str, Any],
  dataset: Dataset,
  *,
  local: Mapping[str, Any],
  labels: str,
  batch_size: int,
) -> Method:
  """A method of a config: {"rule": ...}, {"control": ...} or an attribution's {"name": ...}.

  Args:
    name: what the config calls it.
    settings: its entry.
    dataset: what is explained.
    local: the study's settings of LIME.
    labels: of which class maps are.
    batch_size: images per call.

  Raises:
    ValueError, TypeError: for settings that do not exist or are not allowed.
  """
  with checks.naming(f"maps.{name}"):
    if "rule" in settings:
      rule: Rule = read(Rule, settings, "settings")
      checks.one_of(rule.rule, AGGREGATIONS, argument="rule")
      return dataclasses.replace(rule, local=local_settings(dataset, {**local, **rule.local}))
    if "control" in settings:
      control: WithoutNetwork = read(WithoutNetwork, settings, "settings")
      checks.one_of(control.control, (RANDOM, *CONTROLS), argument="control")
      return control
    return Importance(dataset, settings, labels=labels, batch_size=batch_size)
