"""A number and its interval, and what the interval is over, in words."""

import dataclasses
from typing import Any, NamedTuple

import numpy as np

CONFIDENCE = 0.95
FEW_NETWORKS = 2
TEST_IMAGES = "test images"
EQUAL = "all values are equal"
# Of the values' size: a narrower interval has no width but rounding's.
ROUNDING = 1e-9


class Estimate(NamedTuple):
  """A number, the ends of its interval, what it is over, and how many networks it is of."""

  value: float
  low: float
  high: float
  over: str
  networks: int
  confidence: float = CONFIDENCE


@dataclasses.dataclass(frozen=True)
class Estimates:
  """Many numbers of one kind: like `Estimate`, with arrays of one shape."""

  value: np.ndarray
  low: np.ndarray
  high: np.ndarray
  over: str
  networks: int
  confidence: float = CONFIDENCE

  def __getitem__(self, index: Any) -> "Estimates":
    return dataclasses.replace(
      self, value=self.value[index], low=self.low[index], high=self.high[index]
    )

  @property
  def T(self) -> "Estimates":  # noqa: N802
    """With the axes in the opposite order."""
    return dataclasses.replace(self, value=self.value.T, low=self.low.T, high=self.high.T)

  @property
  def interval(self) -> str:
    """The interval's name in print."""
    return f"{100 * self.confidence:g} % interval over {self.over}"

  def one(self) -> Estimate:
    """The only number of arrays of shape []."""
    value, low, high = float(self.value), float(self.low), float(self.high)
    return Estimate(value, low, high, self.over, self.networks, self.confidence)


def with_width(
  value: float, low: float, high: float, scale: float, over: str, networks: int, confidence: float
) -> Estimate:
  """An estimate with these ends, or without any where they are no further apart than by rounding.

  Args:
    value: the number.
    low: the lower end.
    high: the upper end.
    scale: the size of the largest of the values behind it.
    over: what the interval is over.
    networks: how many there are.
    confidence: of the interval.
  """
  if not high - low > ROUNDING * scale:
    return endless(value, f"{over}; {EQUAL}", networks, confidence)
  return Estimate(value, min(low, value), max(high, value), over, networks, confidence)


def endless(value: float, over: str, networks: int, confidence: float) -> Estimate:
  """A number of which nobody can tell how far it is off."""
  return Estimate(value, -np.inf, np.inf, over, networks, confidence)


def no_number(over: str, networks: int, confidence: float) -> Estimate:
  """0 / 0."""
  return Estimate(np.nan, np.nan, np.nan, over, networks, confidence)


def what_over(networks: int, images: int, units: str) -> str:
  """What an interval is over, in words.

  >>> what_over(1, 1000, "test images"), what_over(5, 1000, "test images")
  ('1,000 test images, one network', '1,000 test images and 5 networks')
  """
  if networks <= FEW_NETWORKS:
    return f"{images:,} {units}, {how_many(networks)}"
  return f"{images:,} {units} and {how_many(networks)}"


def how_many(networks: int) -> str:
  """How many networks, in words."""
  return {1: "one network", 2: "two networks"}.get(networks, f"{networks} networks")
