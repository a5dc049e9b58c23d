"""What an attack costs, counted while it runs: the network's forward and backward passes."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import Attack, Key, LogitsFn


class Passes(NamedTuple):
  """How often a network was run, per example."""

  forward: float
  backward: float


def count_passes(attack: Attack, key: Key, logits_fn: LogitsFn, x: Array, y: Array) -> Passes:
  """Runs an attack on some images and counts the rows that pass through the network.

  Each pass reports to the host as it happens, so loops, branches, restarts and samples count as
  often as they are really run. A gradient is a forward and a backward pass. Forward-mode
  derivatives of the network are not possible meanwhile.

  Args:
    attack: any `(key, logits_fn, x, y) -> x_adv`.
    key: as the attack takes it.
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: the images to attack [B, H, W, C]; a few will do.
    y: the true classes, int [B].

  Returns:
    Passes per image of x.

  >>> from robust_saliency.attacks import fgsm
  >>> attack = functools.partial(fgsm, epsilon=0.1)
  >>> count_passes(attack, jax.random.key(0), lambda x: x[:, 0, 0], jnp.ones((2, 1, 1, 3)),
  ...              jnp.array([0, 1]))
  Passes(forward=1.0, backward=1.0)
  """
  rows = {"forward": 0, "backward": 0}

  def enter(kind: str, count: int) -> None:
    rows[kind] += count

  counted = _reporting(logits_fn, enter)
  jax.block_until_ready(jax.jit(lambda x: attack(key, counted, x, y))(x))
  jax.effects_barrier()
  return Passes(*(rows[kind] / len(x) for kind in Passes._fields))


def _reporting(logits_fn: LogitsFn, enter: Callable[[str, int], None]) -> LogitsFn:
  def report(kind: str, array: Array) -> None:
    # One of its numbers is handed over so that under `vmap` every copy of the network reports.
    jax.debug.callback(lambda _: enter(kind, array.shape[0]), array.ravel()[0])

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
