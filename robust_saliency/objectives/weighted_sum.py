"""From a config to an objective: terms, each with its weight, over passes that they share."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.attacks.registry import bind_attack
from robust_saliency.core import ApplyFn, Attack, Bounds, LogitsFn, checks
from robust_saliency.core.binding import bind
from robust_saliency.objectives.adversarial import attacked
from robust_saliency.objectives.classification import (
  cross_entropy_of_logits,
  distillation_of_logits,
)
from robust_saliency.objectives.forward import ForwardPass, forward_pass_with_statistics
from robust_saliency.objectives.input_gradient import (
  gr_certainty,
  gr_entropy,
  gr_soft_labels,
  gr_true_label,
)

MODES = ("training", "evaluation")

# Every use of an example's key folds in a number of its own.
_CLEAN_DROPOUT, _ATTACK, _ATTACK_DROPOUT, _ADVERSARIAL_DROPOUT = range(4)


class Batch(NamedTuple):
  """One device's part of a batch.

  Attributes:
    x: images [B, H, W, C], floating point.
    y: classes, int [B].
    mask: float [B], 1 for an example, 0 for padding.
    size: the number of examples in the whole batch, over all devices.
    soft_targets: a teacher's probabilities [B, K], where the objective distils one.
  """

  x: Array
  y: Array
  mask: Array
  size: Array
  soft_targets: Array | None = None


class Share(NamedTuple):
  """One device's part of the loss. Loss = psum(total) / psum(weight), and so each metric.

  Attributes:
    total: sum of the loss over the device's examples.
    weight: the number of them.
    batch_stats: the new batch statistics, equal on all devices.
    metrics: name -> (sum, weight).
  """

  total: Array
  weight: Array
  batch_stats: Any
  metrics: dict[str, tuple[Array, Array]]


# (keys [B], apply_fn, variables, batch) -> Share
Objective = Callable[[Array, ApplyFn, Any, Batch], Share]


class _Passes:
  """The forward passes of one batch, each run when a term first asks for it."""

  def __init__(self, keys: Array, apply_fn: ApplyFn, variables: Any, batch: Batch):
    self.batch = batch
    self.metrics: dict[str, Array] = {}
    self.batch_stats = variables.get("batch_stats", {})
    self._keys, self._apply_fn, self._variables = keys, apply_fn, variables
    self._clean: ForwardPass | None = None
    self._evaluated: ForwardPass | None = None

  def keys(self, use: int) -> Array:
    return jax.vmap(jax.random.fold_in, in_axes=(0, None))(self._keys, use)

  def clean(self) -> ForwardPass:
    if self._clean is None:
      self._clean = self._train(self.batch.x, _CLEAN_DROPOUT)
      self._record("accuracy", self._clean)
    return self._clean

  def for_penalty(self, mode: str) -> ForwardPass:
    """The pass on which an input-gradient penalty is taken."""
    checks.one_of(mode, MODES, argument="penalty_mode")
    if mode == "training":
      return self.clean()
    if self._evaluated is None:
      self._evaluated, _ = forward_pass_with_statistics(
        lambda x: self._apply_fn(self._variables, x, train=False),
        self.batch.x,
        self.batch.y,
        self.batch.mask,
      )
    return self._evaluated

  def adversarial(self, x_adv: Array) -> ForwardPass:
    once = self._train(x_adv, _ADVERSARIAL_DROPOUT)
    self._record("adversarial_accuracy", once)
    return once

  def logits_fn_to_attack(self, mode: str) -> LogitsFn:
    """The network before this step, as the attack sees it: constants, in the mode asked for."""
    checks.one_of(mode, MODES, argument="attack_mode")
    variables = jax.lax.stop_gradient(self._variables)
    if mode == "evaluation":
      return lambda x: self._apply_fn(variables, x, train=False)[0]
    dropout_keys = self.keys(_ATTACK_DROPOUT)

    def logits_fn(x: Array) -> Array:
      logits, _ = self._apply_fn(
        variables, x, train=True, mask=self.batch.mask, dropout_keys=dropout_keys
      )
      # The loss of padding would reach the examples' pixels through their batch statistics.
      return jnp.where(self.batch.mask[:, None] > 0, logits, jax.lax.stop_gradient(logits))

    return logits_fn

  def _train(self, x: Array, use: int) -> ForwardPass:
    # The passes follow one another: the second updates the averages that the first has left.
    variables = {**self._variables, "batch_stats": self.batch_stats}
    once, statistics = forward_pass_with_statistics(
      lambda x: self._apply_fn(
        variables, x, train=True, mask=self.batch.mask, dropout_keys=self.keys(use)
      ),
      x,
      self.batch.y,
      self.batch.mask,
    )
    self.batch_stats = jax.lax.stop_gradient(statistics)
    return once

  def soft_targets(self, term: str) -> Array:
    if self.batch.soft_targets is None:
      raise ValueError(f"the term {term!r} needs a teacher; name one in the model's config")
    return self.batch.soft_targets

  def _record(self, name: str, once: ForwardPass) -> None:
    self.metrics[name] = (jnp.argmax(once.logits, axis=-1) == once.y).astype(jnp.float32)


def _cross_entropy(passes: _Passes, *, temperature: float = 1.0) -> Array:
  return cross_entropy_of_logits(passes.clean().logits, passes.batch.y, temperature=temperature)


def _distillation(passes: _Passes, *, temperature: float = 50.0) -> Array:
  targets = passes.soft_targets("distillation")
  return distillation_of_logits(passes.clean().logits, targets, temperature=temperature)


def _input_gradient_penalty(
  passes: _Passes, *, scaling: str = "per_example", penalty_mode: str = "training"
) -> Array:
  once = passes.for_penalty(penalty_mode)
  return gr_true_label(once, scaling=scaling, batch_size=passes.batch.size)


def _certainty_penalty(
  passes: _Passes, *, scaling: str = "per_example", penalty_mode: str = "training"
) -> Array:
  once = passes.for_penalty(penalty_mode)
  return gr_certainty(once, scaling=scaling, batch_size=passes.batch.size)


def _distilled_label_penalty(
  passes: _Passes,
  *,
  temperature: float = 50.0,
  scaling: str = "per_example",
  penalty_mode: str = "training",
) -> Array:
  del temperature  # that of the teacher's probabilities, which are in the batch already
  targets = passes.soft_targets("distilled_label_penalty")
  once = passes.for_penalty(penalty_mode)
  return gr_soft_labels(once, targets, scaling=scaling, batch_size=passes.batch.size)


def _entropy_penalty(
  passes: _Passes,
  *,
  scaling: str = "per_example",
  constant_labels: bool = False,
  penalty_mode: str = "training",
) -> Array:
  return gr_entropy(
    passes.for_penalty(penalty_mode),
    scaling=scaling,
    constant_labels=constant_labels,
    batch_size=passes.batch.size,
  )


def _adversarial(
  passes: _Passes,
  *,
  attack: Attack,
  attack_labels: str = "true",
  attack_mode: str = "evaluation",
) -> Array:
  x_adv = attacked(
    passes.keys(_ATTACK),
    passes.logits_fn_to_attack(attack_mode),
    passes.batch.x,
    passes.batch.y,
    attack=attack,
    attack_labels=attack_labels,
  )
  return cross_entropy_of_logits(passes.adversarial(x_adv).logits, passes.batch.y)


TERMS: dict[str, Callable[..., Array]] = {
  "cross_entropy": _cross_entropy,
  "adversarial": _adversarial,
  "input_gradient_penalty": _input_gradient_penalty,
  "certainty_penalty": _certainty_penalty,
  "distilled_label_penalty": _distilled_label_penalty,
  "entropy_penalty": _entropy_penalty,
  "distillation": _distillation,
}


def weighted_sum(
  terms: Mapping[str, Mapping[str, Any]], *, bounds: Bounds = (0.0, 1.0)
) -> Objective:
  """The objective sum_i weight_i term_i that a config describes.

  Terms share passes: the clean one is run once for the cross-entropy and all penalties, and not
  at all if no term needs it (adversarial training on attacked images alone).

  Args:
    terms: name of a term -> its settings; "weight" (default 1) multiplies it, the others are its
      hyper-parameters. The mixture of clean and adversarial loss is their two weights.
    bounds: (low, high) of the pixels, within which the attack stays unless it says otherwise.

  Returns:
    `(keys, apply_fn, variables, batch) -> Share`, pure and differentiable in
    `variables["params"]`.

  Raises:
    ValueError, TypeError: if there is no term, or a name, setting or weight is missing or not
      allowed.

  >>> objective = weighted_sum({"cross_entropy": {}, "input_gradient_penalty": {"weight": 0.1}})
  >>> apply_fn = lambda variables, x, **_: (variables["params"] * x[:, 0, 0], {})
  >>> batch = Batch(jnp.zeros((1, 1, 1, 2)), jnp.array([0]), jnp.ones(1),
  ...               jnp.array(1))
  >>> keys = jax.random.split(jax.random.key(0), 1)
  >>> objective(keys, apply_fn, {"params": jnp.array(1.0)}, batch).total.item()
  0.743
  """
  checks.mapping(objective=terms)
  if not terms:
    raise ValueError(f"objective needs at least one term of {', '.join(TERMS)}; got none")
  bound = {}
  # The adversarial pass follows the clean one, however the terms are ordered in a config: the
  # second one's batch statistics are those that stay.
  for name, settings in sorted(terms.items(), key=lambda term: term[0] == "adversarial"):
    checks.mapping(**{f"objective term {name!r}": settings})
    weight = settings.get("weight", 1.0)
    checks.non_negative(weight=weight)
    named = {"name": name, **{k: v for k, v in settings.items() if k != "weight"}}
    if name == "adversarial" and "attack" in named:
      named["attack"] = bind_attack(named["attack"], bounds=bounds)
    bound[name] = (weight, bind(TERMS, named, what="objective term"))

  def objective(keys: Array, apply_fn: ApplyFn, variables: Any, batch: Batch) -> Share:
    passes = _Passes(keys, apply_fn, variables, batch)
    values = {name: term(passes) for name, (_, term) in bound.items()}
    loss = sum(bound[name][0] * value for name, value in values.items())
    weight = jnp.sum(batch.mask)
    metrics = {"loss": loss, **values, **passes.metrics}
    return Share(
      jnp.sum(batch.mask * loss),
      weight,
      passes.batch_stats,
      {name: (jnp.sum(batch.mask * value), weight) for name, value in metrics.items()},
    )

  return objective
