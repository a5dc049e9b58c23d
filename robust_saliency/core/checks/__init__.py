"""Argument checks: one line at the call, one sentence for the person who reads the error.

Shapes, dtypes and names are known while a function is traced and are always checked. Values are
checked where they are concrete; inside `jit`, `vmap` or `grad` they are not known and pass.

inputs    images, classes, networks
numbers   how large, how many
words     names, text, mappings, and how a value stands in a sentence
"""

from robust_saliency.core.checks.inputs import (
  BOUNDS_TOLERANCE,
  array,
  function,
  images,
  labels,
  network,
  number_of_classes,
  pixel_bounds,
  some_bounds,
)
from robust_saliency.core.checks.numbers import (
  LARGEST_COUNT,
  below_one,
  between,
  count,
  finite,
  flag,
  fraction,
  is_concrete,
  non_negative,
  non_zero,
  per_channel,
  positive,
  scalar,
  unrolled,
)
from robust_saliency.core.checks.words import (
  LISTED,
  SHOWN,
  did_you_mean,
  listed,
  mapping,
  naming,
  one_of,
  printable,
  shown,
  text,
)

__all__ = [
  "BOUNDS_TOLERANCE",
  "LARGEST_COUNT",
  "LISTED",
  "SHOWN",
  "array",
  "below_one",
  "between",
  "count",
  "did_you_mean",
  "finite",
  "flag",
  "fraction",
  "function",
  "images",
  "is_concrete",
  "labels",
  "listed",
  "mapping",
  "naming",
  "network",
  "non_negative",
  "non_zero",
  "number_of_classes",
  "one_of",
  "per_channel",
  "pixel_bounds",
  "positive",
  "printable",
  "scalar",
  "shown",
  "some_bounds",
  "text",
  "unrolled",
]
