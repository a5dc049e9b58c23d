"""What everything else builds on: types, checks, norms, keys and bounded-memory mapping."""

from robust_saliency.core import checks, registry
from robust_saliency.core.compiled import compiled_once
from robust_saliency.core.keys import example_keys
from robust_saliency.core.mapping import fold_samples, map_batches
from robust_saliency.core.norms import L1, L2, LINF, NORMS, Norm, get_norm
from robust_saliency.core.tracing import chosen_precision, detached, full_precision, repeat
from robust_saliency.core.types import (
  ApplyFn,
  Attack,
  Attribution,
  Bounds,
  Key,
  LogitsFn,
  PixelBounds,
)

__all__ = [
  "L1",
  "L2",
  "LINF",
  "NORMS",
  "ApplyFn",
  "Attack",
  "Attribution",
  "Bounds",
  "Key",
  "LogitsFn",
  "Norm",
  "PixelBounds",
  "checks",
  "chosen_precision",
  "compiled_once",
  "detached",
  "example_keys",
  "fold_samples",
  "full_precision",
  "get_norm",
  "map_batches",
  "registry",
  "repeat",
]
