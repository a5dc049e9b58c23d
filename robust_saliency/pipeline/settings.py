"""A config's own fields."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from robust_saliency import data
from robust_saliency.core import checks
from robust_saliency.core.settings import CountOrZero
from robust_saliency.data import Dataset


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetSettings:
  """Which images.

  Attributes:
    name: one of `data.names()`; "npz" and "folder" are your own.
    path: where those lie.
    bounds: (low, high) of the pixels, where they are not the set's own.
    validation: how many training images are held out for validation.
  """

  name: str
  path: str | None = None
  bounds: tuple[float, float] | None = None
  validation: CountOrZero = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExperimentSettings:
  """A config.

  Attributes:
    title: the report's.
    summary: one paragraph for its top.
    scale: how large this variant is, in words.
    dataset: what the networks are trained and measured on.
    seeds: each model is trained once with each.
    models: name -> the fields of `training.Recipe`.
    studies: name -> {"kind": ..., and the fields of that study}.
    claims: the claims table, a file beside the config, or its rows.
    published: the paper's numbers, a file beside the config.
  """

  title: str
  dataset: DatasetSettings
  seeds: Any
  models: Mapping[str, Mapping[str, Any]]
  summary: str | None = None
  scale: str | None = None
  studies: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
  claims: Any = ()
  published: str | None = None

  def __post_init__(self) -> None:
    """Raises for claims that are neither a file nor rows."""
    if not isinstance(self.claims, (str, list, tuple)):
      given = checks.shown(self.claims)
      raise TypeError(f"config.claims must be a file's name or a list of rows, got {given}")


def load_dataset(settings: DatasetSettings, data_dir: str | None) -> Dataset:
  """The data set that a config asks for.

  Raises:
    ValueError: for an unknown name, bounds that are none, or too many images held out.
    FileNotFoundError: if it is not there.
  """
  dataset = data.load(settings.name, path=settings.path, data_dir=data_dir, bounds=settings.bounds)
  return data.hold_out(dataset, settings.validation) if settings.validation else dataset


def plain_config(config: Any) -> Any:
  """A config as dicts, lists, numbers and strings."""
  if isinstance(config, Mapping) or hasattr(config, "items"):
    return {str(name): plain_config(value) for name, value in config.items()}
  if isinstance(config, (list, tuple)):
    return [plain_config(value) for value in config]
  return config
