"""TRADES: the divergence of the prediction under attack from the clean one."""

import inspect
from collections.abc import Callable, Mapping
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import Attack, Key, LogitsFn, checks
from robust_saliency.core.tracing import widened
from robust_saliency.objectives import arguments
from robust_saliency.objectives.passes import MODES, TrainingPasses, attacked
from robust_saliency.objectives.terms import term


def trades(key: Key, logits_fn: LogitsFn, x: Array, y: Array, *, attack: Attack) -> Array:
  """KL(f(x) || f(attack(x))), per example, where the attack makes that divergence large.

  The whole loss is CE(x, y) + beta times it, with beta = 1 / lambda from 1 to 6 in the paper. Both
  predictions are differentiated; the attacked images are constants.

  Args:
    key: one PRNG key, or one per example [B].
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C] within the attack's bounds.
    y: classes, int [B]; only an attack that keeps the "best" of its images looks at them.
    attack: `(key, logits_fn, x, y, *, loss) -> x_adv` that increases `loss(logits, y)` from a
      random start, and does not bind its loss: at the image itself the divergence has no slope.
      The authors' is `partial(pgd, epsilon=..., start_deviation=0.001, keep="last", ...)`.

  Returns:
    Divergences [B], >= 0.

  Raises:
    ValueError, TypeError: for an attack that takes no loss, has one or starts at the image itself,
      or returns images of another shape; for images, classes or logits of other shapes or dtypes,
      or classes that there are not.

  Source: Zhang et al. 2019, "Theoretically principled trade-off between robustness and accuracy",
  equation 5 and algorithm 1.

  >>> from robust_saliency.attacks import pgd
  >>> x = jnp.full((1, 1, 1, 2), 0.5)
  >>> attack = partial(pgd, epsilon=0.5, steps=5)
  >>> trades(jax.random.key(0), lambda x: x[:, 0, 0], x, jnp.array([0]), attack=attack).tolist()
  [0.12]
  """
  _check_attack(attack)
  logits_fn = arguments.checked(logits_fn, x)
  checks.labels(y, batch=x.shape[0])
  clean = logits_fn(x)
  checks.labels(y, batch=x.shape[0], classes=clean.shape[1])
  x_adv = attacked(key, logits_fn, x, y, attack=_away_from(clean, attack))
  arguments.attacked_images(x_adv, x)
  return divergence(clean, logits_fn(x_adv))


def divergence(logits: Array, others: Array) -> Array:
  """KL(softmax(z) || softmax(z')), per example, in float32 at least.

  >>> divergence(jnp.array([[0.0, 0.0]]), jnp.array([[0.0, 1.0]])).tolist()
  [0.12]
  """
  log_p, log_q = (jax.nn.log_softmax(widened(one)) for one in (logits, others))
  # A class that z masks by -inf counts for nothing, whatever z' says of it.
  log_p_there, log_q_there = (jnp.where(jnp.isneginf(log_p), 0.0, one) for one in (log_p, log_q))
  return jnp.sum(jnp.exp(log_p) * (log_p_there - log_q_there), axis=-1)


def _away_from(clean: Array, attack: Callable[..., Array]) -> Attack:
  """The attack that increases the divergence from a prediction, which it does not differentiate."""
  constant = jax.lax.stop_gradient(clean)
  return partial(attack, loss=lambda logits, y: divergence(constant, logits))


def _check_attack(attack: Attack) -> None:
  checks.function(attack=attack)
  try:
    has: Mapping[str, inspect.Parameter] = inspect.signature(attack).parameters
  except ValueError:  # a built-in function
    has = {}
  for setting in ("loss", "random_start"):
    if setting not in has:
      raise ValueError(f"attack must be one with the setting {setting}, pgd say; it has none")
  if "loss" in getattr(attack, "keywords", {}):
    raise ValueError("attack must leave its loss open, since that is the divergence; it has one")
  if getattr(attack, "keywords", {}).get("chunk_size") is not None:
    raise ValueError(
      "attack must leave chunk_size open, since its loss is of the whole batch's predictions; got "
      f"{attack.keywords['chunk_size']}"  # type: ignore[attr-defined]
    )
  if has["random_start"].default is False:
    raise ValueError(
      "attack must have a random start, since the divergence has no slope at the image itself; "
      "got random_start=False"
    )


# The prediction that the attack leads away from is that of the network as it sees it: in evaluation
# mode in the authors' code, while the loss is in training mode.
@term("trades", title="Divergence under attack", passes=("clean", "attacked"))
def _term(passes: TrainingPasses, *, attack: Attack, attack_mode: str = "evaluation") -> Array:
  _check_attack(attack)
  checks.one_of(attack_mode, MODES, argument="attack_mode")
  clean = passes.clean().logits
  seen = passes.in_mode(attack_mode).logits
  once = passes.attacked(_away_from(seen, attack), attack_mode=attack_mode)
  return divergence(clean, once.logits)
