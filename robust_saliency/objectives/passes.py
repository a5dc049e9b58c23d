"""The forward passes of a batch, each run once however many terms read it."""

import functools
import zlib
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attacks.registry import takes_one_step
from robust_saliency.core import ApplyFn, Attack, Key, LogitsFn, checks
from robust_saliency.core.keys import as_threefry
from robust_saliency.core.predictions import is_correct
from robust_saliency.objectives import arguments
from robust_saliency.objectives.batch import Batch

MODES = ("training", "evaluation")
ATTACK_LABELS = ("true", "predicted")

# Every use of an example's key folds in a number of its own: the clean pass 0, and each attacked
# pass three from 1, 4, ... on, in the order in which terms ask for them.
_CLEAN_DROPOUT = 0
_ATTACK, _ATTACK_DROPOUT, _ATTACKED_DROPOUT = 1, 2, 3
_USES_OF_AN_ATTACK = 3
# What a term draws itself, by the term's name; far from those, and from what the step takes.
_DRAWS = 2**24


class ForwardPass(NamedTuple):
  """Logits of a batch, and the way back to its pixels.

  The loss and its input gradient come from this one pass; computed apart, XLA does not merge them
  and double backprop costs half as much again.

  Attributes:
    x: images [B, H, W, C].
    y: classes, int [B].
    mask: float [B], 0 for padding, which must not reach other examples through batch norm.
    logits: [B, K].
    pullback: cotangent of the logits [B, K] -> gradient with respect to x.
  """

  x: Array
  y: Array
  mask: Array
  logits: Array
  pullback: Callable[[Array], Array]

  def input_gradient(self, loss: Callable[[Array], Array]) -> Array:
    """The gradient of sum_n loss(logits)_n with respect to x, differentiable in parameters.

    Where examples share batch statistics, each pixel's gradient includes its effect on the other
    examples' losses.
    """
    cotangent = jax.grad(lambda logits: jnp.sum(self.mask * loss(logits)))(self.logits)
    return self.pullback(cotangent)


def forward_pass(logits_fn: LogitsFn, x: Array, y: Array, mask: Array | None = None) -> ForwardPass:
  """Runs `logits_fn` once, keeping the way back.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C].
    y: classes, int [B].
    mask: float [B], 0 for padding; None where there is none.

  Raises:
    ValueError, TypeError: for images, classes, logits or a mask of other shapes or dtypes, or
      classes that there are not.

  >>> once = forward_pass(lambda x: 3 * x[:, 0, 0], jnp.ones((1, 1, 1, 2)), jnp.array([0]))
  >>> once.input_gradient(lambda logits: logits[:, 1]).tolist()
  [[[[0.0, 3.0]]]]
  """
  logits_fn = arguments.checked(logits_fn, x)
  if mask is not None:
    arguments.check_mask(mask, x)
  once, _ = _forward_pass(lambda x: (logits_fn(x), None), x, y, mask)
  checks.labels(y, batch=x.shape[0], classes=once.logits.shape[1])
  return once


def _forward_pass(
  apply: Callable[[Array], tuple[Array, Any]], x: Array, y: Array, mask: Array | None
) -> tuple[ForwardPass, Any]:
  logits, pullback, collections = jax.vjp(apply, x, has_aux=True)
  mask = jnp.ones(x.shape[0], logits.dtype) if mask is None else mask
  # A pytree of what the way back needs, so that `known_network` can hold it constant.
  only = jax.tree_util.Partial(_only, pullback)
  return ForwardPass(x, y, mask, logits, only), collections


def _only(pullback: Callable[[Array], tuple[Array]], cotangent: Array) -> Array:
  (gradient,) = pullback(cotangent)
  return gradient


def known_network(once: ForwardPass) -> LogitsFn:
  """The network of a pass that has been run, for whoever reads it at that pass's images alone.

  It takes the logits and the way back from the pass and runs nothing; both are constants for the
  parameters. The losses of padding reach no pixel.

  >>> once = forward_pass(lambda x: 3 * x[:, 0, 0], jnp.ones((1, 1, 1, 2)), jnp.array([0]))
  >>> jax.grad(lambda x: known_network(once)(x)[0, 1])(once.x).tolist()
  [[[[0.0, 3.0]]]]
  """
  logits, pullback = jax.lax.stop_gradient(once.logits), jax.lax.stop_gradient(once.pullback)

  def logits_fn(x: Array) -> Array:
    return without_padding(_known_logits(x, logits, pullback), once.mask)

  return logits_fn


@jax.custom_vjp
def _known_logits(x: Array, logits: Array, pullback: Callable[[Array], Array]) -> Array:
  del x, pullback
  return logits


def _known_logits_forward(
  x: Array, logits: Array, pullback: Callable[[Array], Array]
) -> tuple[Array, Callable[[Array], Array]]:
  del x
  return logits, pullback


def _known_logits_backward(
  pullback: Callable[[Array], Array], cotangent: Array
) -> tuple[Array, None, None]:
  return pullback(cotangent), None, None


_known_logits.defvjp(_known_logits_forward, _known_logits_backward)


def without_padding(logits: Array, mask: Array) -> Array:
  """Logits [B, K] of which those of padding are constants.

  Their loss would reach the examples' pixels through the batch statistics.
  """
  return jnp.where(mask[:, None] > 0, logits, jax.lax.stop_gradient(logits))


def attacked(
  key: Key, logits_fn: LogitsFn, x: Array, y: Array, *, attack: Attack, attack_labels: str = "true"
) -> Array:
  """The images that an attack makes of a training batch, as constants."""
  checks.one_of(attack_labels, ATTACK_LABELS, argument="attack_labels")
  if attack_labels == "predicted":
    y = jax.lax.stop_gradient(jnp.argmax(logits_fn(x), axis=-1))
  return jax.lax.stop_gradient(attack(key, logits_fn, x, y))


class TrainingPasses:
  """What a term reads: the batch, and the network's passes over it.

  A pass runs when a term first asks for it. Training passes follow one another, the clean one
  first: each finds the network's collections (the averages of batch norm, say) as the one before
  has left them.

  Attributes:
    batch: this device's part of the batch.
    collections: the network's variables other than its parameters, after the passes so far.
    metrics: name -> [B], what the passes report.
  """

  def __init__(self, keys: Array, apply_fn: ApplyFn, variables: Mapping[str, Any], batch: Batch):
    self.batch = batch
    self.collections = {name: value for name, value in variables.items() if name != "params"}
    self.metrics: dict[str, Array] = {}
    self._keys, self._apply_fn, self._variables = as_threefry(keys), apply_fn, variables
    self._clean: ForwardPass | None = None
    self._attacked: dict[tuple[Attack, str, str, int], ForwardPass] = {}
    self._shared: dict[Hashable, Array] = {}

  def clean(self) -> ForwardPass:
    """The pass over the images themselves, in training mode.

    Raises:
      ValueError: after an attacked pass, which it must come before.
    """
    if self._clean is None:
      if self._attacked:
        raise ValueError(
          "the clean pass must come before all attacked ones; declare a term that reads attacked "
          "passes with passes=('clean', 'attacked') or ('attacked',)"
        )
      self._clean = self._train(self.batch.x, _CLEAN_DROPOUT)
      self._record("accuracy", self._clean)
    return self._clean

  @functools.cached_property
  def _evaluated(self) -> ForwardPass:
    def apply(x: Array) -> tuple[Array, Any]:
      return self._apply_fn(self._variables, x, train=False)

    return _forward_pass(apply, self.batch.x, self.batch.y, self.batch.mask)[0]

  def in_mode(self, mode: str) -> ForwardPass:
    """The pass over the images themselves: the clean one, or one in evaluation mode.

    Raises:
      ValueError: for a mode that is none of "training", "evaluation".
    """
    checks.one_of(mode, MODES, argument="penalty_mode")
    return self.clean() if mode == "training" else self._evaluated

  def attacked(
    self,
    attack: Attack,
    *,
    attack_labels: str = "true",
    attack_mode: str = "evaluation",
    ramp_steps: int = 0,
  ) -> ForwardPass:
    """The pass over what an attack makes of the images, in training mode.

    Terms that ask for the same attack share its pass; each attack has keys of its own.

    An attack of one step in training mode sees the clean pass itself: its dropout mask, its logits
    and predictions, its gradient, as in Ross & Doshi-Velez's code; no other pass is run for it. So
    it is where the attack has declared that it takes one step from the images (FGSM, TGSM with
    `steps=1`), and a term of the objective has asked for the clean pass. Any other attack in
    training mode runs passes of its own, all with one dropout mask that no other pass has.

    Args:
      attack: any `(key, logits_fn, x, y) -> x_adv`.
      attack_labels: the classes that it is given: "true" or "predicted".
      attack_mode: how it sees the network: in "training" or "evaluation" mode; as it was before
        this step, and as a constant.
      ramp_steps: in step n of the first so many, n / ramp_steps of the perturbation is added.

    Raises:
      ValueError, TypeError: for labels or a mode that do not exist, or no number of steps.
    """
    checks.one_of(attack_labels, ATTACK_LABELS, argument="attack_labels")
    checks.one_of(attack_mode, MODES, argument="attack_mode")
    checks.count(0, ramp_steps=ramp_steps)
    which = (attack, attack_labels, attack_mode, ramp_steps)
    if which not in self._attacked:
      first = _USES_OF_AN_ATTACK * len(self._attacked)
      x_adv = attacked(
        self._keys_for(first + _ATTACK),
        self._seen_by(attack, attack_mode, first + _ATTACK_DROPOUT),
        self.batch.x,
        self.batch.y,
        attack=attack,
        attack_labels=attack_labels,
      )
      if ramp_steps:
        share = jnp.minimum((self.batch.step + 1) / ramp_steps, 1).astype(x_adv.dtype)
        x_adv = (1 - share) * self.batch.x + share * x_adv
      self._attacked[which] = self._train(x_adv, first + _ATTACKED_DROPOUT)
      number = len(self._attacked)
      name = "adversarial_accuracy" + (f"_{number}" if number > 1 else "")
      self._record(name, self._attacked[which])
    return self._attacked[which]

  def shared(self, name: Hashable, compute: Callable[[], Array]) -> Array:
    """What several terms read of the passes, computed when the first of them asks for it."""
    if name not in self._shared:
      self._shared[name] = compute()
    return self._shared[name]

  def keys(self, name: str) -> Array:
    """Keys [B] for what a term draws for each example; every name has keys of its own."""
    number = np.uint32(zlib.crc32(name.encode()))
    return jax.vmap(jax.random.fold_in, in_axes=(0, None))(self._keys_for(_DRAWS), number)

  def _seen_by(self, attack: Attack, mode: str, dropout: int) -> LogitsFn:
    if mode == "training" and self._clean is not None and takes_one_step(attack):
      return known_network(self._clean)
    variables = jax.lax.stop_gradient(self._variables)
    if mode == "evaluation":
      return lambda x: self._apply_fn(variables, x, train=False)[0]
    dropout_keys = self._keys_for(dropout)

    def logits_fn(x: Array) -> Array:
      logits, _ = self._apply_fn(
        variables, x, train=True, mask=self.batch.mask, dropout_keys=dropout_keys
      )
      return without_padding(logits, self.batch.mask)

    return logits_fn

  def _train(self, x: Array, use: int) -> ForwardPass:
    variables = {**self._variables, **self.collections}
    once, collections = _forward_pass(
      lambda x: self._apply_fn(
        variables, x, train=True, mask=self.batch.mask, dropout_keys=self._keys_for(use)
      ),
      x,
      self.batch.y,
      self.batch.mask,
    )
    self.collections = {**self.collections, **jax.lax.stop_gradient(collections)}
    return once

  def _keys_for(self, use: int) -> Array:
    return jax.vmap(jax.random.fold_in, in_axes=(0, None))(self._keys, use)

  def _record(self, name: str, once: ForwardPass) -> None:
    self.metrics[name] = is_correct(once.logits, once.y).astype(jnp.float32)
