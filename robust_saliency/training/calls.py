"""Which steps one call of the mapped step takes, and what is due when it has taken them."""

import dataclasses
from collections.abc import Iterator

from robust_saliency.training.early_stopping import Selection
from robust_saliency.training.probe import Probe


@dataclasses.dataclass(frozen=True)
class Call:
  """Consecutive steps, counted from the first of all.

  Attributes:
    first: how many steps have been taken before.
    last: how many have been taken after.
    rows: after which of its steps a row of metrics ends.
    evaluation_due: whether early stopping evaluates the state that it leaves.
    probe_due: whether the probe measures that state.
    checkpoint_due: whether that state is saved.
  """

  first: int
  last: int
  rows: tuple[int, ...]
  evaluation_due: bool
  probe_due: bool
  checkpoint_due: bool


def calls(
  first: int,
  steps: int,
  *,
  steps_per_call: int,
  log_every: int,
  checkpoint_every: int,
  selection: Selection | None = None,
  probe: Probe | None = None,
) -> Iterator[Call]:
  """The calls from one step to the end.

  A call ends where `steps_per_call` divides the number of steps, and where the state that it leaves
  is saved or measured. So they are the same wherever a run begins again, at the end of one of them.

  Args:
    first: how many steps have been taken already.
    steps: when the training stops, counted from the first step of all.
    steps_per_call: how many steps a call takes at most.
    log_every: steps between rows of metrics.
    checkpoint_every: steps between checkpoints.
    selection: what evaluates states on the way; None for nothing.
    probe: what measures states on the way; None for nothing.

  >>> [(one.last, one.rows) for one in
  ...  calls(0, 9, steps_per_call=4, log_every=2, checkpoint_every=5)]
  [(4, (2, 4)), (5, (5,)), (8, (6, 8)), (9, (9,))]
  """
  begin = first
  for step in range(first + 1, steps + 1):
    evaluation_due = selection is not None and selection.due(step, steps)
    probe_due = probe is not None and probe.due(step, steps)
    checkpoint_due = evaluation_due or step % checkpoint_every == 0 or step == steps
    if probe_due or checkpoint_due or step % steps_per_call == 0:
      rows = tuple(
        end
        for end in range(begin + 1, step + 1)
        # A row ends at each checkpoint that is due, so that an evaluation has its row, and at each
        # measurement of the probe.
        if end % log_every == 0 or (end == step and (probe_due or checkpoint_due))
      )
      yield Call(begin, step, rows, evaluation_due, probe_due, checkpoint_due)
      begin = step
