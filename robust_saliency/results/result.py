"""What a study leaves: arrays whose axes have names, and what stands along each axis."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robust_saliency.core import checks

EXAMPLE = "example"
SEED = "seed"
# Networks that one other network is compared with, the same one along the whole axis.
REFERENCES = "standard"
# Axes along which networks stand, or pairs of them, of which each counts once: where a claim is
# about one network of each other kind, these are what is repeated.
REPEATED = (SEED, REFERENCES, "pair")


@dataclasses.dataclass(frozen=True)
class Layout:
  """The axes of a study's arrays, which follow from its settings, before anything is measured.

  Attributes:
    axes: array -> the names of its axes, in order.
    coordinates: axis -> the names or numbers along it. An axis without any, such as "example", is
      counted, not named.
    images_each: array -> how many images each of its values is a share of, where it is not one.
    units: array -> what stands along "example", in the plural, where it is not test images; or
      "participants" stand along "seed" in place of networks.
    differences: arrays of -1, 0 and 1, whose mean is a difference of two shares.
  """

  axes: Mapping[str, tuple[str, ...]]
  coordinates: Mapping[str, tuple[Any, ...]]
  images_each: Mapping[str, int] = dataclasses.field(default_factory=dict)
  units: Mapping[str, str] = dataclasses.field(default_factory=dict)
  differences: tuple[str, ...] = ()

  def free_axes(self, array: str, at: Mapping[str, Any]) -> tuple[str, ...]:
    """The axes of an array that are left once some are fixed.

    Raises:
      ValueError: for an array, an axis or a coordinate that there is not.

    >>> layout = Layout({"correct": ("model", "seed", "example")}, {"model": ("a", "b")})
    >>> layout.free_axes("correct", {"model": "b"})
    ('seed', 'example')
    """
    checks.one_of(array, self.axes, argument="array")
    for axis, coordinate in at.items():
      checks.one_of(axis, self.axes[array], argument=f"axis of {array!r}")
      self.position(axis, coordinate)
    return tuple(axis for axis in self.axes[array] if axis not in at)

  def position(self, axis: str, coordinate: Any) -> int:
    """Where a coordinate stands on an axis; numbers need not be equal to the last bit."""
    known = self.coordinates.get(axis, ())
    if isinstance(coordinate, (int, float)) and all(isinstance(one, (int, float)) for one in known):
      near = [i for i, one in enumerate(known) if math.isclose(one, coordinate, abs_tol=1e-8)]
      if not near:
        raise ValueError(
          f"{axis} must be one of {', '.join(map(str, known)) or 'none'}; got {coordinate}"
        )
      return near[0]
    checks.one_of(coordinate, known, argument=axis)
    return known.index(coordinate)


@dataclasses.dataclass(frozen=True)
class Result:
  """The outcome of one measurement.

  Attributes:
    name: what the config calls the study.
    kind: which study it is.
    layout: the axes of `arrays`.
    arrays: everything measured, per example where that exists.
    metadata: what else its page says (an attack's label, warnings), JSON-serialisable.
    folder: where the files lie that its study keeps beside the arrays; None where it keeps none,
      or they are elsewhere, as those of a report are.
  """

  name: str
  kind: str
  layout: Layout
  arrays: Mapping[str, np.ndarray]
  metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  folder: Path | None = None

  def __post_init__(self) -> None:
    for name, axes in self.layout.axes.items():
      if name not in self.arrays:
        raise ValueError(f"study {self.name!r} ({self.kind}) must give the array {name!r}")
      shape, lengths = self.arrays[name].shape, tuple(map(self._length, axes))
      fits = len(shape) == len(lengths) and all(
        wanted is None or wanted == given for wanted, given in zip(lengths, shape, strict=True)
      )
      if not fits:
        wanted = ", ".join(
          axis if length is None else f"{axis} = {length}"
          for axis, length in zip(axes, lengths, strict=True)
        )
        raise ValueError(
          f"array {name!r} of study {self.name!r} ({self.kind}) must have shape [{wanted}], "
          f"got {list(shape)}"
        )

  def at(self, array: str, **coordinates: Any) -> np.ndarray:
    """The part of an array at some coordinates; the other axes stay, in their order.

    Raises:
      ValueError: for an array, an axis or a coordinate that there is not.

    >>> layout = Layout({"correct": ("model", "example")}, {"model": ("a", "b")})
    >>> result = Result("clean", "accuracy", layout, {"correct": np.array([[1, 1], [0, 1]])})
    >>> result.at("correct", model="b").tolist()
    [0, 1]
    """
    self.layout.free_axes(array, coordinates)
    index = tuple(
      self.layout.position(axis, coordinates[axis]) if axis in coordinates else slice(None)
      for axis in self.layout.axes[array]
    )
    return self.arrays[array][index]

  def _length(self, axis: str) -> int | None:
    known: Sequence[Any] | None = self.layout.coordinates.get(axis)
    return None if known is None else len(known)
