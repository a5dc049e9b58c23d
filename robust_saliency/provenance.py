"""What a run's numbers belong to: its config, versions, devices, precision, times and date."""

import datetime
import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

import jax

from robust_saliency.core import chosen_precision

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "robust_saliency")


def provenance(config: Mapping[str, Any], seconds: Mapping[str, float]) -> dict[str, Any]:
  """The facts that a report ends with.

  Args:
    config: of the experiment.
    seconds: how long each stage has taken, by its name.

  Returns:
    JSON-serialisable facts by name.
  """
  precision = chosen_precision()
  return {
    "config": config,
    "versions": {
      "python": platform.python_version(),
      **{package: importlib.metadata.version(package) for package in PACKAGES},
    },
    "devices": [device.device_kind for device in jax.devices()],
    "precision": "float32; matrix products "
    + (
      f"at jax_default_matmul_precision={precision!r}"
      if precision
      else "in full float32 in attacks and attributions, at the platform's default in training"
    ),
    "wall_seconds": dict(seconds),
    "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
  }
