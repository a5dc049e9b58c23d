"""Adversarial robustness and interpretable gradients in JAX.

The folders, in the order in which they build on one another:

  core            norms and projections, per-example keys, chunked mapping, argument checks
  attacks         worst-case inputs
  attributions    saliency maps
  objectives      what training minimises
  models          the papers' networks as Flax modules
  data            data sets as arrays
  training        the pmapped step, the loop, checkpoints
  results         one interval for one number, and what it says of a claim
  drawing         figures
  studies         one folder per measurement
  report          tables, figures and one HTML page
  pipeline        an experiment as a graph of stages
  configs         what configs are written with
  notebook        an experiment in a notebook

`robust-saliency main --config=digits --workdir=runs/digits` runs an experiment from its config to
its report; `python -m robust_saliency main ...` is the same.

Importing the package imports nothing else, so that `main` can tell JAX how many host devices to
make before it starts; a folder is imported when it is first looked at.

>>> import robust_saliency as rs
>>> rs.attacks.pgd.__name__
'pgd'
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from robust_saliency import (
    attacks,
    attributions,
    configs,
    core,
    data,
    drawing,
    models,
    notebook,
    objectives,
    pipeline,
    report,
    results,
    studies,
    training,
  )

__version__ = "0.1.0"

__all__ = [
  "__version__",
  "attacks",
  "attributions",
  "configs",
  "core",
  "data",
  "drawing",
  "models",
  "notebook",
  "objectives",
  "pipeline",
  "report",
  "results",
  "studies",
  "training",
]


def __getattr__(name: str) -> Any:
  """Imports a folder that is looked at for the first time."""
  if name in __all__:
    return importlib.import_module(f"{__name__}.{name}")
  raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
  return __all__
