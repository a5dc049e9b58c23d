"""What an attack increases: losses of logits and labels, one number per example.

A loss is any `(logits [B, K], labels [B]) -> [B]`, large where the example is misclassified.
Attacks sum it over the batch before they differentiate, so no 1/B makes its gradients underflow.
Logits in half precision are compared in float32.
"""

from collections.abc import Callable

import jax.numpy as jnp
import optax
from jax import Array

from robust_saliency.core import checks
from robust_saliency.core.tracing import widened

Loss = Callable[[Array, Array], Array]


def check_logits(logits: Array, y: Array, *, argument: str = "y") -> None:
  """Raises unless these are floating-point logits [B, K] and classes [B].

  Inside an attack or attribution the classes have been looked at, and the logits are traced.

  >>> check_logits(jnp.zeros((2, 3)), jnp.array([0, 3]))
  Traceback (most recent call last):
  ValueError: y must hold classes 0 to 2, got 3
  """
  checks.array(logits=logits)
  if logits.ndim != 2 or not jnp.issubdtype(logits.dtype, jnp.floating):
    raise ValueError(
      f"logits must be floating-point [batch, classes], got {logits.dtype} {logits.shape}"
    )
  classes = logits.shape[1] if checks.is_concrete(logits) else None
  checks.labels(y, batch=logits.shape[0], classes=classes, argument=argument)


def cross_entropy(logits: Array, y: Array) -> Array:
  """-log softmax(z)_y.

  Args:
    logits: [B, K].
    y: the true classes, int [B].

  Returns:
    [B], >= 0.

  >>> cross_entropy(jnp.array([[0.0, 0.0]]), jnp.array([1])).tolist()
  [0.69]
  """
  check_logits(logits, y)
  return optax.losses.softmax_cross_entropy_with_integer_labels(widened(logits), y)


def cw_margin(logits: Array, y: Array) -> Array:
  """max_{j != y} z_j - z_y: positive where the example is misclassified.

  Args:
    logits: [B, K].
    y: the true classes, int [B].

  Returns:
    [B], in the logits' units.

  Source: Carlini & Wagner 2017, "Towards evaluating the robustness of neural networks", f_6
  without its floor.

  >>> cw_margin(jnp.array([[3.0, 1.0, 0.0]]), jnp.array([0])).tolist()
  [-2.0]
  """
  check_logits(logits, y)
  logits = widened(logits)
  return jnp.max(other_logits(logits, y), axis=-1) - _of_class(logits, y)


def dlr(logits: Array, y: Array) -> Array:
  """The difference of logits ratio, -(z_y - max_{j != y} z_j) / (z_(1) - z_(3)).

  Unchanged by shifting and scaling the logits, so it does not saturate as cross-entropy does.

  Args:
    logits: [B, K], K >= 3.
    y: the true classes, int [B].

  Returns:
    [B], at least -1; positive where the example is misclassified.

  Source: Croce & Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of
  diverse parameter-free attacks", equation 6.

  Raises:
    ValueError: with fewer than three classes, for which it is not defined.

  >>> dlr(jnp.array([[4.0, 1.0, 0.0]]), jnp.array([0])).tolist()
  [-0.75]
  """
  check_logits(logits, y)
  if logits.shape[-1] < 3:
    raise ValueError(f"the DLR loss needs at least 3 classes, got {logits.shape[-1]}")
  logits = widened(logits)
  ordered = jnp.sort(logits, axis=-1)
  spread = ordered[:, -1] - ordered[:, -3]
  # As in the authors' code: equal logits give 0, and gradients that are finite.
  return cw_margin(logits, y) / (spread + 1e-12)


def targeted_dlr(logits: Array, y: Array, target: Array) -> Array:
  """-(z_y - z_target) / (z_(1) - (z_(3) + z_(4)) / 2): positive where the target beats the class.

  With the targets bound (`lambda logits, y: targeted_dlr(logits, y, target)`) it is a loss like
  the others, to be increased.

  Args:
    logits: [B, K].
    y: the true classes, int [B].
    target: the classes to reach, int [B].

  Source: Croce & Hein 2020, equation 7.

  Raises:
    ValueError: with fewer than four classes, for which it is not defined.

  >>> targeted_dlr(jnp.array([[4.0, 1.0, 0.0, -2.0]]), jnp.array([0]), jnp.array([1])).tolist()
  [-0.6]
  """
  check_logits(logits, y)
  check_logits(logits, target, argument="target")
  if logits.shape[-1] < 4:
    raise ValueError(f"the targeted DLR loss needs at least 4 classes, got {logits.shape[-1]}")
  logits = widened(logits)
  ordered = jnp.sort(logits, axis=-1)
  spread = ordered[:, -1] - (ordered[:, -3] + ordered[:, -4]) / 2
  return (_of_class(logits, target) - _of_class(logits, y)) / (spread + 1e-12)


LOSSES: dict[str, Loss] = {"cross_entropy": cross_entropy, "cw_margin": cw_margin, "dlr": dlr}


def get_loss(loss: str | Loss, *, targeted: bool = False) -> Loss:
  """What an attack increases.

  Args:
    loss: a name of `LOSSES`, or a function of one's own.
    targeted: whether the labels are classes to reach. Then it is the negative of the loss, except
      of "dlr", which is 1 wherever the label is the third likeliest class and so has no gradient
      there: the targeted DLR loss, or with fewer than four classes the margin, between the label
      and the likeliest other class.

  Returns:
    `(logits [B, K], labels [B]) -> [B]`.

  Raises:
    ValueError: for an unknown name.

  >>> get_loss("dlr", targeted=True)(jnp.array([[4.0, 1.0, 0.0, -2.0]]), jnp.array([1])).tolist()
  [-0.6]
  """
  checks.flag(targeted=targeted)
  if not callable(loss):
    checks.one_of(loss, LOSSES, argument="loss")
    loss = LOSSES[loss]
  elif loss not in LOSSES.values():
    loss = of_each_example(loss, argument="loss")
  if not targeted:
    return loss
  return _towards_dlr if loss is dlr else lambda logits, y: -loss(logits, y)


def of_each_example(function: Loss, *, argument: str) -> Loss:
  """A function of one's own, which must give one number for each example.

  Raises:
    ValueError: when it is called, for what it gives of another shape: the mean over a batch, say,
      of which no example could be told from the others.

  >>> mean = of_each_example(lambda logits, y: logits.mean(), argument="loss")
  >>> mean(jnp.zeros((2, 3)), jnp.array([0, 1]))
  Traceback (most recent call last):
  ValueError: loss must give one number for each example, shape (2,), got shape ()
  """

  def checked(logits: Array, y: Array) -> Array:
    values = function(logits, y)
    if jnp.shape(values) != logits.shape[:-1]:
      raise ValueError(
        f"{argument} must give one number for each example, shape {logits.shape[:-1]}, got shape "
        f"{jnp.shape(values)}"
      )
    return values

  return checked


def _towards_dlr(logits: Array, y: Array) -> Array:
  if logits.shape[-1] < 4:
    return -cw_margin(logits, y)
  return targeted_dlr(logits, jnp.argmax(other_logits(logits, y), axis=-1), y)


def _of_class(logits: Array, y: Array) -> Array:
  return jnp.take_along_axis(logits, y[:, None], axis=-1)[:, 0]


def other_logits(logits: Array, y: Array) -> Array:
  """The logits [B, K] of all classes but y; -inf in its place."""
  is_y = jnp.arange(logits.shape[-1])[None] == y[:, None]
  return jnp.where(is_y, -jnp.inf, logits)
