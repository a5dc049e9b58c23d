"""The rows of a training's metrics, as its calls measure them, and the networks that diverge."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from robust_saliency.training.calls import Call
from robust_saliency.training.divergence import DivergedError
from robust_saliency.training.early_stopping import Selection
from robust_saliency.training.metrics import MetricsWriter
from robust_saliency.training.notes import Diverged, notes_of
from robust_saliency.training.probe import Probe
from robust_saliency.training.recent import Recent, means_of

# The name of a network that is trained by itself.
ALONE = ""

# Between a network's name and a metric's, in the rows of several networks.
SEPARATOR = "/"

# Metrics in the progress line.
SHOWN = 8


class Rows:
  """Writes a row where one is due, the means over the steps since the last.

  Args:
    writer: of the run's files.
    label: what the run is called.
    networks: names of those that the state holds; `ALONE` for a single one.
    recent: metrics of the steps since the last row, where a signal has cut it off.
    scores: of early stopping so far; those to come are added.
    diverged: networks that have diverged so far.
    selection: evaluates states, for the row of their step.
    probe: measures states, likewise.

  Attributes:
    diverged: network -> what became what, and by which step.
    note: the newest row, for the progress line.
  """

  def __init__(
    self,
    writer: MetricsWriter,
    *,
    label: str,
    networks: Sequence[str],
    recent: Sequence[Mapping[str, Any]],
    scores: dict[int, float],
    diverged: Diverged,
    selection: Selection | None,
    probe: Probe | None,
  ):
    self._writer, self._label, self._networks = writer, label, networks
    self._recent, self._scores, self.diverged = Recent(recent), scores, diverged
    self._selection, self._probe, self.note = selection, probe, ""

  @property
  def all_diverged(self) -> bool:
    """Whether no network is left to be trained."""
    return len(self.diverged) == len(self._networks)

  def add(self, call: Call, measured: Mapping[str, Any], state: Any, *, stacked: bool) -> None:
    """Adds what a call has measured, and writes the rows that are due in it.

    Args:
      call: its steps.
      measured: metrics by name.
      state: after it.
      stacked: whether the metrics' first axis counts the steps.

    Raises:
      DivergedError: where a metric of a network that is trained by itself is not finite.
    """
    self._recent.add(measured, steps=call.last - call.first, stacked=stacked)
    for step in call.rows:
      of_each = means_of(self._recent.take(len(self._recent) - (call.last - step)), self._networks)
      self.diverged = _not_finite(of_each, step) | self.diverged
      row = {
        f"{network}{SEPARATOR}{name}" if network else name: value
        for network, means in of_each.items()
        for name, value in means.items()
      }
      if ALONE in self.diverged:
        self._writer.write(step, row)
        raise DivergedError(self._label, *self.diverged[ALONE])
      if step == call.last:
        row |= self._looked_at(call, state)
      self._writer.write(step, row)
      self.note = ", ".join(f"{name} {value:.4g}" for name, value in [*row.items()][:SHOWN])
      if self.all_diverged:
        break

  def flush(self, step: int) -> dict[str, Any]:
    """Puts all rows on disk.

    Args:
      step: the newest.

    Returns:
      What a checkpoint notes of them, so that a run that resumes there has the same.

    Raises:
      DivergedError: where a single network has diverged since its last row.
    """
    unwritten = self._recent.take(len(self._recent))
    self._recent = Recent(unwritten)
    if unwritten and ALONE in self._networks:
      for reason in _not_finite(means_of(unwritten, self._networks), step).values():
        raise DivergedError(self._label, *reason)
    self._writer.flush()
    return notes_of(self._writer.rows, unwritten, self._scores, self.diverged)

  def _looked_at(self, call: Call, state: Any) -> dict[str, float]:
    found: dict[str, float] = {}
    if call.evaluation_due and self._selection is not None:
      self._scores[call.last] = found[self._selection.metric] = self._selection.evaluate(state)
    if call.probe_due and self._probe is not None:
      found |= self._probe.measure(state)
    return found


def _not_finite(of_each: Mapping[str, Mapping[str, float]], step: int) -> Diverged:
  """The networks of which a metric is not finite; the first one is named."""
  return {
    network: (f"{name} became {value} by step {step}", step)
    for network, means in of_each.items()
    for name, value in reversed([*means.items()])
    if not math.isfinite(value)
  }
