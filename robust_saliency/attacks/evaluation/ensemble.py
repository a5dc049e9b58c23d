"""Attacks one after the other on a data set: what one has broken, the next need not try."""

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jax import Array

from robust_saliency.attacks.evaluation.batch_files import Batch, BatchFiles
from robust_saliency.attacks.evaluation.identity import LOGITS_TOLERANCE, describe
from robust_saliency.attacks.evaluation.on_rows import attack_on_rows, refuse_by_tracing
from robust_saliency.attacks.evaluation.verification import leaves_threat_model
from robust_saliency.attacks.threat import check_attack_arguments, check_per_channel
from robust_saliency.core import (
  Attack,
  Key,
  LogitsFn,
  Norm,
  PixelBounds,
  checks,
  example_keys,
  files,
  get_norm,
)
from robust_saliency.core.predictions import is_correct
from robust_saliency.core.programs import RowPrograms, pack
from robust_saliency.core.tracing import floating

PROBED = 8  # images whose logits tell one network from another


@dataclasses.dataclass(frozen=True)
class Verdicts:
  """Which examples are robust, per attack (A of them, in order) and example (N).

  Attributes:
    attacks: the attacks' names.
    correct: whether the network classifies the clean image correctly [N].
    tried: whether the attack was run on the example [A, N]; it is where the clean image is
      classified correctly and, with attacks in turn, no earlier one has broken it.
    broken: whether the attack found an image within the threat model that is misclassified [A, N].
    outside: whether the attack's image left the threat model; it does not count [A, N].
    x_adv: the image of the first attack that broke the example, else the clean one [N, ...].
    robust: whether the network classifies the clean image and `x_adv` correctly [N]; found by one
      last forward pass over `x_adv`.
    seconds: how long each attack ran, without compiling [A].
    compile_seconds: how long each took to compile, in this process [A].
  """

  attacks: tuple[str, ...]
  correct: np.ndarray
  tried: np.ndarray
  broken: np.ndarray
  outside: np.ndarray
  x_adv: np.ndarray
  robust: np.ndarray
  seconds: np.ndarray
  compile_seconds: np.ndarray

  @property
  def accuracy(self) -> float:
    """The share of examples that are robust to all attacks."""
    return float(self.robust.mean())

  @property
  def accuracy_under(self) -> np.ndarray:
    """The share that is robust to the first one, two, ... A attacks."""
    fallen = np.logical_or.accumulate(self.broken, axis=0)
    return np.mean(self.correct & ~fallen, axis=1)

  @property
  def broken_by(self) -> np.ndarray:
    """The number of the first attack that broke the example, -1 for none [N]."""
    return np.where(self.broken.any(axis=0), self.broken.argmax(axis=0), -1)


def run_attacks(
  key: Key,
  logits_fn: LogitsFn,
  x: Array | np.ndarray,
  y: Array | np.ndarray,
  *,
  attacks: Mapping[str, Attack],
  norm: str | Norm = "linf",
  epsilon: Array | float | None,
  bounds: PixelBounds = (0.0, 1.0),
  batch_size: int = 250,
  in_turn: bool = True,
  workdir: Path | str | None = None,
  say: Callable[[str], None] = logging.info,
) -> Verdicts:
  """Runs attacks over a data set, on all devices of this process, and judges what they return.

  Attacks are given only what the network classifies correctly; logits of NaN count as wrong. What
  is left after each attack is packed into batches of a few sizes, for each of which each attack
  is compiled once. Every image is checked against the threat model (see `leaves_threat_model`),
  and one outside of it does not count, whatever the network says of it.

  Args:
    key: one PRNG key, or one per example [N]. Example i gets `fold_in(key, i)`, and of that one
      key for each attack's name, so that neither the batch size, nor the number of devices, nor
      the other attacks change an example's random numbers.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [N, H, W, C] within `bounds`.
    y: the true classes, int [N].
    attacks: name -> attack, all hyper-parameters bound, in the order in which they are run.
    norm: "linf", "l2", "l1" or a `Norm` of one's own.
    epsilon: radius of the ball that the attacks must keep to, one or one per channel [C]; None for
      only the bounds.
    bounds: (low, high) of the pixels, each one number or one per channel [C].
    batch_size: the most examples per call, over all devices.
    in_turn: whether what an attack breaks is spared the later ones; if not, every attack is run
      on every example that the network classifies correctly.
    workdir: a directory in which every finished batch is kept; the same call resumes there after
      it was killed, and ends with the same arrays. None keeps nothing.
    say: is given a line when an attack is done.

  Returns:
    The verdicts.

  Raises:
    ValueError, TypeError: for bad arguments, or a directory of another run, in a sentence.

  >>> import functools
  >>> from robust_saliency.attacks import fgsm
  >>> attack = functools.partial(fgsm, epsilon=0.1)
  >>> verdicts = run_attacks(
  ...   jax.random.key(0), lambda x: x.reshape(-1, 2), jnp.array([[[[0.6, 0.5]]], [[[0.9, 0.5]]]]),
  ...   jnp.array([0, 0]), attacks={"fgsm": attack}, epsilon=0.1)
  >>> verdicts.robust.tolist(), verdicts.broken_by.tolist()
  ([False, True], [0, -1])
  """
  _refuse_traced(x, y, key)
  norm = get_norm(norm)
  check_run(logits_fn, x, y, attacks=attacks, workdir=workdir, say=say)
  checks.flag(in_turn=in_turn)
  images, labels = jnp.asarray(x), jnp.asarray(y)
  checks.images(images)
  if not len(images):
    raise ValueError("x must hold at least one image, got none")
  check_attack_arguments(floating(logits_fn), images, labels, epsilon=0.0, bounds=bounds)
  if epsilon is not None:
    check_per_channel(images, epsilon=epsilon)
  checks.count(batch_size=batch_size)
  if not attacks:
    raise ValueError("attacks must name at least one attack, got none")
  x, y, keys = np.asarray(images), np.asarray(labels), example_keys(key, len(images))
  # The first one says at once what it cannot do.
  refuse_by_tracing(dict([*attacks.items()][1:]), keys, logits_fn, x, y, batch_size=batch_size)
  judge = RowPrograms(lambda _, x, y: is_correct(logits_fn(x), y))
  correct = _over_all(judge, x, y, batch_size=batch_size)
  if not correct.any():  # so that nothing is attacked
    refuse_by_tracing(dict([*attacks.items()][:1]), keys, logits_fn, x, y, batch_size=batch_size)
  running = _Running(x, correct, len(attacks))
  identity: dict[str, Any] = {
    "in turn": in_turn,
    "norm": norm.name,
    "epsilon": None if epsilon is None else np.asarray(epsilon).tolist(),
    "bounds": [np.asarray(bound, np.float64).tolist() for bound in bounds],
  }
  if workdir is not None:
    identity |= {
      "attacks": {name: describe(attack) for name, attack in attacks.items()},
      "images": describe(x),
      "labels": describe(y),
      "key": describe(keys),
      "logits": _probe(logits_fn, x),
    }
  with BatchFiles(workdir).opened(identity) as batch_files:
    for a, (name, attack) in enumerate(attacks.items()):
      folder = f"{a:02d}-{files.slug(name)}"
      left = correct & ~running.broken.any(axis=0) if in_turn else correct
      for batch in batch_files.finished(folder, x):
        running.add(a, batch)
      on_rows = RowPrograms(attack_on_rows(attack, logits_fn, keys, name))
      data = np.asarray(jax.random.key_data(keys))
      for indices, rows in _batches(np.flatnonzero(left & ~running.tried[a]), batch_size):
        began, compiled = time.monotonic(), on_rows.compile_seconds
        x_adv = on_rows(None, data[indices], x[indices], y[indices], rows=rows)
        seconds = time.monotonic() - began - (on_rows.compile_seconds - compiled)
        outside = leaves_threat_model(x_adv, x[indices], norm=norm, epsilon=epsilon, bounds=bounds)
        broken = ~outside & ~judge(None, x_adv, y[indices], rows=rows)
        batch = Batch(indices, broken, outside, x_adv[broken], np.array(seconds))
        batch_files.save(folder, batch)
        running.add(a, batch)
      running.compile_seconds[a] = on_rows.compile_seconds
      say(f"{name}: {running.summary(a)}")
    stands = _over_all(judge, running.x_adv, y, batch_size=batch_size)
    result = Verdicts(tuple(attacks), correct, robust=correct & stands, **vars(running))
    batch_files.save_result(*_as_files(result, identity))
  return result


def check_run(
  logits_fn: LogitsFn,
  x: Array | np.ndarray,
  y: Array | np.ndarray,
  *,
  attacks: Mapping[str, Any],
  workdir: Path | str | None,
  say: Callable[[str], None],
) -> None:
  """Raises for arguments of another type than those of `run_attacks`."""
  checks.function(logits_fn=logits_fn, say=say)
  checks.array(y=y)
  checks.images(x)
  checks.mapping(attacks=attacks)
  for name, attack in attacks.items():
    checks.text(**{"name of attacks": name})
    if not isinstance(attack, Mapping):
      checks.function(**{f"attacks[{name!r}]": attack})
  if workdir is not None and not isinstance(workdir, (str, Path)):
    raise TypeError(f"workdir must be a path, got {checks.shown(workdir)}")


class _Running:
  """The arrays of `Verdicts` that grow batch by batch."""

  def __init__(self, x: np.ndarray, correct: np.ndarray, attacks: int):
    shape = (attacks, len(correct))
    self.tried, self.broken, self.outside = (np.zeros(shape, bool) for _ in range(3))
    self.x_adv = x.copy()
    self.seconds, self.compile_seconds = np.zeros(attacks), np.zeros(attacks)

  def add(self, attack: int, batch: Batch) -> None:
    """Enters what an attack did."""
    self.tried[attack, batch.indices] = True
    self.outside[attack, batch.indices] = batch.outside
    broken = batch.indices[batch.broken]
    first = ~self.broken[:, broken].any(axis=0)
    self.x_adv[broken[first]] = batch.x_adv[first]
    self.broken[attack, broken] = True
    self.seconds[attack] += batch.seconds

  def summary(self, attack: int) -> str:
    """What an attack did, for people."""
    tried, broken, outside = (
      int(array[attack].sum()) for array in (self.tried, self.broken, self.outside)
    )
    left = f", {outside} outside the ball or the bounds" if outside else ""
    return (
      f"{broken} of {tried} broken{left}, in {self.seconds[attack]:.1f} s "
      f"and {self.compile_seconds[attack]:.1f} s of compiling"
    )


def _batches(indices: np.ndarray, batch_size: int) -> Iterator[tuple[np.ndarray, int]]:
  start = 0
  for examples, rows in pack(len(indices), batch_size):
    yield indices[start : start + examples], rows
    start += examples


def _over_all(
  programs: RowPrograms, x: np.ndarray, y: np.ndarray, *, batch_size: int
) -> np.ndarray:
  parts = [
    programs(None, x[indices], y[indices], rows=rows)
    for indices, rows in _batches(np.arange(len(x)), batch_size)
  ]
  return np.concatenate(parts)


def _probe(logits_fn: LogitsFn, x: np.ndarray) -> list[list[float]] | None:
  """The logits of the first images; None where two passes differ, so that they tell nothing."""
  logits = RowPrograms(lambda _, x: logits_fn(x))
  first, second = (logits(None, x[:PROBED], rows=min(PROBED, len(x))) for _ in range(2))
  scale = np.max(np.abs(first[np.isfinite(first)]), initial=0.0)
  same = np.allclose(first, second, rtol=0, atol=LOGITS_TOLERANCE * scale, equal_nan=True)
  return first.astype(float).tolist() if same else None


def _as_files(
  verdicts: Verdicts, identity: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  timings = ("attacks", "seconds", "compile_seconds")
  arrays = {f.name: getattr(verdicts, f.name) for f in dataclasses.fields(verdicts)}
  metadata = {
    **{name: arrays.pop(name) for name in timings},
    "accuracy": verdicts.accuracy,
    "accuracy_under": verdicts.accuracy_under,
    "identity": identity,
  }
  return arrays, metadata


def _refuse_traced(*arrays: Any) -> None:
  if not all(map(checks.is_concrete, arrays)):
    raise TypeError(
      "attacks over a data set run on the host and cannot be traced; call them outside jit, vmap "
      "and grad"
    )
