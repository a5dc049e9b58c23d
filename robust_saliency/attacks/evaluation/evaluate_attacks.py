"""A careful evaluation: several attacks, what each costs, the worst case, and what looks wrong."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from absl import logging
from jax import Array

from robust_saliency.attacks.evaluation.counting import (
  ForwardModeError,
  Passes,
  count_passes,
  uses_gradients,
)
from robust_saliency.attacks.evaluation.ensemble import Verdicts, check_run, run_attacks
from robust_saliency.attacks.evaluation.on_rows import refuse_by_tracing
from robust_saliency.attacks.evaluation.probing import find_pitfalls
from robust_saliency.core import (
  Attack,
  Key,
  LogitsFn,
  Norm,
  PixelBounds,
  checks,
  example_keys,
  files,
  full_precision,
)

COUNTED = 2  # examples on which passes are counted
COLUMNS = (
  "attack",
  "accuracy",
  "tried",
  "broken",
  "outside",
  "seconds",
  "compile seconds",
  "forward passes per example",
  "backward passes per example",
)


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """What an evaluation found on N examples.

  Attributes:
    correct: whether the network classifies the clean image correctly [N].
    robust: whether the example is robust to every attack, the worst case [N].
    verdicts: name -> what each attack, or ensemble of attacks, did.
    passes: name -> for each of its attacks, the passes that an example takes which is robust to it;
      an attack that ends early takes fewer where it succeeds. Those that were not counted, or take
      forward-mode derivatives, are left out.
    warnings: name of a function of `pitfalls` -> the sentences that it gave.
  """

  correct: np.ndarray
  robust: np.ndarray
  verdicts: dict[str, Verdicts]
  passes: dict[str, dict[str, Passes]]
  warnings: dict[str, list[str]]

  @property
  def table(self) -> list[list[Any]]:
    """A row of `COLUMNS` for each attack: clean, each ensemble and its members, the worst case.

    Members of an ensemble are named ENSEMBLE/MEMBER, and their accuracies are those after each of
    them. Its own passes are the average over all examples, including those not attacked. Passes
    that were not counted are "".
    """
    none = ["", "", "", "", "", "", ""]
    rows: list[list[Any]] = [["none", float(self.correct.mean()), *none]]
    for name, verdicts in self.verdicts.items():
      members = _member_rows(verdicts, self.passes.get(name))
      if len(members) == 1:
        rows.append([name, verdicts.accuracy, *members[0][2:]])
        continue
      rows += [[f"{name}/{row[0]}", *row[1:]] for row in members]
      rows.append([name, verdicts.accuracy, *_totals(verdicts, self.passes.get(name))])
    return [*rows, ["worst case", float(self.robust.mean()), *none]]

  @property
  def arrays(self) -> dict[str, np.ndarray]:
    """The verdicts of every example: correct, robust, and NAME/robust, /broken_by, /x_adv."""
    arrays = {"correct": self.correct, "robust": self.robust}
    for name, verdicts in self.verdicts.items():
      for field in ("robust", "broken_by", "x_adv"):
        arrays[f"{name}/{field}"] = getattr(verdicts, field)
    return arrays


def evaluate_attacks(
  key: Key,
  logits_fn: LogitsFn,
  x: Array | np.ndarray,
  y: Array | np.ndarray,
  *,
  attacks: Mapping[str, Attack | Mapping[str, Attack]],
  norm: str | Norm = "linf",
  epsilon: Array | float,
  bounds: PixelBounds = (0.0, 1.0),
  batch_size: int = 250,
  workdir: Path | str | None = None,
  probed: int = 100,
  count: bool = True,
  say: Callable[[str], None] = logging.info,
) -> Evaluation:
  """Measures a network's accuracy under attacks, and looks for signs that it is lower in truth.

  Args:
    key: one PRNG key, or one per example [N].
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [N, H, W, C] within `bounds`.
    y: the true classes, int [N].
    attacks: name -> an attack with its hyper-parameters bound, run on every example that is
      classified correctly; or name -> {name: attack}, an ensemble whose attacks are run in turn on
      what is left (`autoattack_members` gives AutoAttack's).
    norm: "linf", "l2", "l1" or a `Norm`.
    epsilon: radius of the ball that the attacks must keep to, one or one per channel [C].
    bounds: (low, high) of the pixels, each one number or one per channel [C].
    batch_size: the most examples per call, over all devices.
    workdir: where finished batches are kept, from which a killed evaluation resumes;
      see `run_attacks`.
    probed: on how many of the correctly classified examples `pitfalls` are looked for; 0 looks for
      those only that need no further attack.
    count: whether each attack's passes are counted, for which it is compiled once more, once for
      all networks of an architecture.
    say: is given a line when an attack is done.

  Returns:
    The evaluation.

  >>> import functools, jax
  >>> from robust_saliency.attacks import fgsm
  >>> x = jnp.array([[[[0.6, 0.5, 0.0, 0.0]]], [[[0.9, 0.5, 0.0, 0.0]]]])
  >>> attack = functools.partial(fgsm, epsilon=0.1)
  >>> evaluation = evaluate_attacks(
  ...   jax.random.key(0), lambda x: 9 * x.reshape(-1, 4), x, jnp.array([0, 0]),
  ...   attacks={"fgsm": attack}, epsilon=0.1)
  >>> [row[:2] for row in evaluation.table]
  [['none', 1.0], ['fgsm', 0.5], ['worst case', 0.5]]
  >>> evaluation.warnings
  {}
  """
  checks.count(0, probed=probed)
  checks.count(batch_size=batch_size)
  checks.flag(count=count)
  checks.non_negative(epsilon=epsilon)
  check_run(logits_fn, x, y, attacks=attacks, workdir=workdir, say=say)
  if not attacks:
    raise ValueError("attacks must name at least one attack, got none")
  images, labels = jnp.asarray(x), jnp.asarray(y)
  keys = example_keys(key, len(images))
  for name, later in [*attacks.items()][1:] if len(images) else []:
    members = later if isinstance(later, Mapping) else {name: later}
    refuse_by_tracing(members, keys, logits_fn, images, labels, batch_size=batch_size)
  verdicts: dict[str, Verdicts] = {}
  passes: dict[str, dict[str, Passes]] = {}
  gradient_free: dict[str, dict[str, bool]] = {}
  for (name, attack), folder in zip(attacks.items(), files.unique_slugs(attacks), strict=True):
    members = attack if isinstance(attack, Mapping) else {name: attack}
    verdicts[name] = run_attacks(
      keys,
      logits_fn,
      images,
      labels,
      attacks=members,
      norm=norm,
      epsilon=epsilon,
      bounds=bounds,
      batch_size=batch_size,
      workdir=None if workdir is None else Path(workdir) / folder,
      say=say,
    )
    gradient_free[name] = {}
    for a, (member, one) in enumerate(members.items()):
      few = _standing_first(verdicts[name], a)[:COUNTED]
      arguments = one, keys[few], full_precision(logits_fn), images[few], labels[few]
      try:
        if count:
          counted = passes.setdefault(name, {})[member] = count_passes(*arguments)
          gradient_free[name][member] = counted.backward == 0
        else:
          gradient_free[name][member] = not uses_gradients(*arguments)
      except ForwardModeError as error:
        # The verdicts stand all the same.
        logging.warning("The passes of %s are not counted: %s", member, error)
        gradient_free[name][member] = False
  warnings = find_pitfalls(
    keys,
    logits_fn,
    images,
    labels,
    attacks=attacks,
    verdicts=verdicts,
    gradient_free=gradient_free,
    norm=norm,
    epsilon=epsilon,
    bounds=bounds,
    batch_size=batch_size,
    probed=probed,
  )
  correct = next(iter(verdicts.values())).correct
  robust = np.logical_and.reduce([one.robust for one in verdicts.values()])
  return Evaluation(correct, robust, verdicts, passes, warnings)


def _standing_first(verdicts: Verdicts, attack: int) -> np.ndarray:
  """All examples, first those robust to the attack, then others that it was run on."""
  tried, broken = verdicts.tried[attack], verdicts.broken[attack]
  return np.argsort(-(2 * tried - 1.0 * broken), kind="stable")


def _member_rows(verdicts: Verdicts, passes: Mapping[str, Passes] | None) -> list[list[Any]]:
  return [
    [
      name,
      float(verdicts.accuracy_under[a]),
      *(int(getattr(verdicts, field)[a].sum()) for field in ("tried", "broken", "outside")),
      float(verdicts.seconds[a]),
      float(verdicts.compile_seconds[a]),
      *((passes or {}).get(name) or ("", "")),
    ]
    for a, name in enumerate(verdicts.attacks)
  ]


def _totals(verdicts: Verdicts, passes: Mapping[str, Passes] | None) -> list[Any]:
  average: list[Any] = ["", ""]
  if passes and passes.keys() >= set(verdicts.attacks):
    per_attack = np.array([passes[name] for name in verdicts.attacks])
    average = (verdicts.tried.sum(axis=1) @ per_attack / len(verdicts.correct)).tolist()
  return [
    int(verdicts.tried.any(axis=0).sum()),
    int(verdicts.broken.any(axis=0).sum()),
    int(verdicts.outside.sum()),
    float(verdicts.seconds.sum()),
    float(verdicts.compile_seconds.sum()),
    *average,
  ]
