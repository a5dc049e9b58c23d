"""What the steps since the last row of metrics have measured, read when the next row is due."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np


class Recent:
  """Metrics of the steps since the last row, on the devices until somebody asks for them.

  Args:
    noted: those that a checkpoint has noted, one mapping a step.

  >>> recent = Recent([{"loss": 3.0}])
  >>> recent.add({"loss": np.array([5.0, 7.0])}, steps=2, stacked=True)
  >>> [float(of_step["loss"]) for of_step in recent.take(2)]
  [3.0, 5.0]
  >>> len(recent)
  1
  """

  def __init__(self, noted: Sequence[Mapping[str, Any]] = ()):
    # Each with the number of its steps, None where it is of one and has no axis for them.
    self._parts: list[tuple[Mapping[str, Any], int | None]] = [(one, None) for one in noted]

  def __len__(self) -> int:
    return sum(1 if steps is None else steps for _, steps in self._parts)

  def add(self, measured: Mapping[str, Any], *, steps: int = 1, stacked: bool = False) -> None:
    """Adds what a call has measured.

    Args:
      measured: metrics by name.
      steps: how many steps the call has taken.
      stacked: whether the metrics' first axis counts them.
    """
    self._parts.append((measured, steps if stacked else None))

  def take(self, steps: int) -> list[Mapping[str, Any]]:
    """Removes the first steps, and returns what each has measured, on the host."""
    # All at once: a transfer for each number would take longer than the steps of a sweep.
    fetched = jax.device_get([measured for measured, _ in self._parts])
    of_steps: list[Mapping[str, Any]] = []
    for measured, (_, count) in zip(fetched, self._parts, strict=True):
      if count is None:
        of_steps.append(measured)
      else:
        of_steps += [{name: each[i] for name, each in measured.items()} for i in range(count)]
    self._parts = [(one, None) for one in of_steps[steps:]]
    return of_steps[:steps]


def means_of(
  of_steps: Sequence[Mapping[str, Any]], networks: Sequence[str]
) -> dict[str, dict[str, float]]:
  """The means of each network's metrics over these steps.

  Args:
    of_steps: metrics of each step on the host, with a number for each network.
    networks: their names.

  Returns:
    Network -> metric -> its mean.

  >>> means_of([{"loss": np.array([1.0, 2.0])}, {"loss": np.array([3.0, 2.0])}], ["a", "b"])
  {'a': {'loss': 2.0}, 'b': {'loss': 2.0}}
  """
  # In float64, so that a mean that was cut off and continued is the same; along the last axis,
  # since NumPy adds up in another order along others.
  means = {}
  for name in of_steps[0]:
    values = np.array([np.asarray(row[name], np.float64) for row in of_steps])
    means[name] = np.ascontiguousarray(values.reshape(len(of_steps), -1).T).mean(axis=-1).tolist()
  return {
    network: {name: values[i] for name, values in means.items()}
    for i, network in enumerate(networks)
  }
