"""What an attack costs, counted while it runs: the network's forward and backward passes."""

import collections
import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.extend.core as jaxprs
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import Attack, Key, LogitsFn, checks, files

KEPT = 32  # compiled programs

# "forward" and "backward" -> rows so far.
Tally = collections.Counter[str]


class Passes(NamedTuple):
  """How often a network was run, per example."""

  forward: float
  backward: float


class ForwardModeError(TypeError):
  """An attack whose passes cannot be counted."""


def count_passes(attack: Attack, key: Key, logits_fn: LogitsFn, x: Array, y: Array) -> Passes:
  """Runs an attack on some images and counts the rows that pass through the network.

  Each pass reports to the host as it happens, so loops, branches, restarts and samples count as
  often as they are really run. A gradient is a forward and a backward pass. The attack is compiled
  for the first network of an architecture alone.

  Args:
    attack: any `(key, logits_fn, x, y) -> x_adv`.
    key: as the attack takes it.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: the images to attack [B, H, W, C]; a few will do.
    y: the true classes, int [B].

  Returns:
    Passes per image of x.

  Raises:
    ForwardModeError: for an attack that takes forward-mode derivatives of the network.

  >>> from robust_saliency.attacks import fgsm
  >>> attack = functools.partial(fgsm, epsilon=0.1)
  >>> count_passes(attack, jax.random.key(0), lambda x: x[:, 0, 0], jnp.ones((2, 1, 1, 3)),
  ...              jnp.array([0, 1]))
  Passes(forward=1.0, backward=1.0)
  """
  checks.function(attack=attack, logits_fn=logits_fn)
  checks.images(x)
  checks.labels(y, batch=x.shape[0])
  tally: Tally = collections.Counter()

  def report(kind: str, array: Array) -> None:
    def enter(_: Any, rows: int = array.shape[0]) -> None:
      tally[kind] += rows

    # One of its numbers is handed over so that under `vmap` every copy of the network reports.
    jax.debug.callback(enter, array.ravel()[0])

  lowered, constants = _lowered(attack, key, _reporting(logits_fn, report), x, y)
  compiled, tally = _program(lowered, tally)
  tally.clear()
  jax.block_until_ready(compiled(constants, x))
  jax.effects_barrier()
  return Passes(*(tally[kind] / len(x) for kind in Passes._fields))


def uses_gradients(attack: Attack, key: Key, logits_fn: LogitsFn, x: Array, y: Array) -> bool:
  """Whether an attack takes a gradient of the network anywhere; found by tracing, not by running.

  Args:
    attack: as of `count_passes`.
    key: as of `count_passes`.
    logits_fn: as of `count_passes`.
    x: as of `count_passes`.
    y: as of `count_passes`.

  Raises:
    ForwardModeError: as of `count_passes`.

  >>> from robust_saliency.attacks import fgsm
  >>> attack = functools.partial(fgsm, epsilon=0.1)
  >>> uses_gradients(attack, jax.random.key(0), lambda x: x[:, 0, 0], jnp.ones((2, 1, 1, 3)),
  ...                jnp.array([0, 1]))
  True
  """
  found: list[str] = []
  watched = _reporting(logits_fn, lambda kind, _: found.append(kind))
  # Lowered, too: only then does JAX refuse forward-mode derivatives.
  _lowered(attack, key, watched, x, y)
  return "backward" in found


def _lowered(
  attack: Attack, key: Key, logits_fn: LogitsFn, x: Array, y: Array
) -> tuple[jax.stages.Lowered, list[Any]]:
  """The program of an attack on some images, and the constants that it takes before them."""
  with _naming_forward_mode():
    jaxpr = jax.make_jaxpr(lambda x: attack(key, logits_fn, x, y))(x)

    def run(constants: list[Any], x: Array) -> Any:
      return jaxprs.jaxpr_as_fun(jaxprs.ClosedJaxpr(jaxpr.jaxpr, constants))(x)

    return jax.jit(run).lower(jaxpr.consts, x), jaxpr.consts


@contextlib.contextmanager
def _naming_forward_mode() -> Iterator[None]:
  """Tells JAX's refusal of a derivative from whatever else is wrong with an attack."""
  try:
    yield
  except TypeError as error:
    if "forward-mode" in str(error) and "custom_vjp" in str(error):
      raise ForwardModeError(
        "passes cannot be counted where an attack takes forward-mode derivatives of the network"
      ) from error
    raise


def _program(lowered: jax.stages.Lowered, tally: Tally) -> tuple[jax.stages.Compiled, Tally]:
  """The compiled program and what it counts into; an equal one of before where there is one."""
  text = lowered.as_text()
  calls = (line.rstrip() for line in text.splitlines() if "callback" in line)
  if not all(call.endswith("-> ()") for call in calls):
    # The host computes something that the text does not name.
    return lowered.compile(), tally
  program = files.digest(text.encode())
  if program not in _RECENT:
    while len(_RECENT) >= KEPT:
      _RECENT.pop(next(iter(_RECENT)))
    _RECENT[program] = lowered.compile(), tally
  return _RECENT[program]


def _reporting(logits_fn: LogitsFn, report: Callable[[str, Array], None]) -> LogitsFn:
  # The images go in, too, so that a gradient is noticed even of a network that has none (one that
  # rounds its input, say), whose own backward pass JAX leaves out.
  @jax.custom_vjp
  def watched(x: Array, logits: Array) -> Array:
    del x
    return logits

  def forward(x: Array, logits: Array) -> tuple[Array, Array]:
    return logits, x

  def backward(x: Array, cotangent: Array) -> tuple[Array, Array]:
    report("backward", cotangent)
    return jnp.zeros_like(x), cotangent

  watched.defvjp(forward, backward)

  @functools.wraps(logits_fn)
  def counted(x: Array) -> Array:
    report("forward", jax.lax.stop_gradient(x))
    return watched(x, logits_fn(x))

  return counted


# Networks of one architecture have one program.
_RECENT: dict[str, tuple[jax.stages.Compiled, Tally]] = {}
