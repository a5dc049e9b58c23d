"""What a stage's numbers belong to: versions, devices, precision and date."""

import datetime
import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from typing import Any

import jax

import robust_saliency
from robust_saliency.core import chosen_precision

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")

# What jax_default_matmul_precision=None stands for.
_DEFAULTS = {"gpu": "(TF32 where the GPU has it) ", "tpu": "(bfloat16) "}


def provenance() -> dict[str, Any]:
  """The metadata of this process, JSON-serialisable, by name."""
  precision = chosen_precision()
  return {
    "versions": {
      "python": platform.python_version(),
      **{package: _version(package) for package in PACKAGES},
      # Also where it runs from its source tree, not installed.
      "robust_saliency": robust_saliency.__version__,
    },
    "devices": [device.device_kind for device in jax.devices()],
    "precision": "float32; matrix products "
    + (
      f"at jax_default_matmul_precision={precision!r}"
      if precision
      else "in full float32 in attacks, attributions and evaluations, at the platform's default "
      f"{_DEFAULTS.get(jax.default_backend(), '')}in training"
    ),
    "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
  }


def of_all(stages: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
  """The provenance of several stages as one, in which every value that occurs is named.

  >>> there = {"versions": {"jax": "1"}, "devices": ["cpu"], "precision": "float32", "date": "1963"}
  >>> here = {**there, "versions": {"jax": "2"}, "date": "1964"}
  >>> both = of_all([there, here])
  >>> both["versions"], both["devices"], both["date"]
  ({'jax': '1 and 2'}, ['cpu'], '1963 to 1964')
  """
  stages = list(stages)
  names = dict.fromkeys(name for one in stages for name in one["versions"])
  # A stranger's record may name none.
  devices = dict.fromkeys(tuple(one["devices"]) for one in stages if one["devices"])
  dates = sorted(one["date"] for one in stages)
  return {
    "versions": {
      name: _enumerated(one["versions"].get(name, "none") for one in stages) for name in names
    },
    "devices": list(next(iter(devices), ()))
    if len(devices) < 2
    else [" or ".join(f"{len(each)} × {each[0]}" for each in devices)],
    "precision": _enumerated(one["precision"] for one in stages),
    "date": " to ".join(dict.fromkeys([*dates[:1], *dates[-1:]])),
  }


def _version(package: str) -> str:
  try:
    return importlib.metadata.version(package)
  except importlib.metadata.PackageNotFoundError:
    return "not installed"


def _enumerated(values: Iterable[str]) -> str:
  return " and ".join(dict.fromkeys(values))
