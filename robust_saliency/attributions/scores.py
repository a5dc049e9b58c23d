"""What a saliency map explains: one number per example, of its logits and a class.

The papers differ in it, so it is an argument everywhere: a name of `SCORES` or any function
`(logits [B, K], y [B]) -> [B]`.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import checks, losses
from robust_saliency.core.tracing import widened

Score = Callable[[Array, Array], Array]


def logit(logits: Array, y: Array) -> Array:
  """z_y, what Grad-CAM, Integrated Gradients and most libraries explain.

  Args:
    logits: [B, K].
    y: the classes, int [B].

  Returns:
    [B], in the logits' units.

  >>> logit(jnp.array([[2.0, 1.0]]), jnp.array([1])).tolist()
  [1.0]
  """
  losses.check_logits(logits, y)
  return jnp.take_along_axis(logits, y[:, None], axis=-1)[:, 0]


def probability(logits: Array, y: Array) -> Array:
  """softmax(z)_y, what LIME and RISE explain.

  Args:
    logits: [B, K].
    y: the classes, int [B].

  Returns:
    [B], in [0, 1].

  >>> probability(jnp.zeros((1, 4)), jnp.array([0])).tolist()
  [0.25]
  """
  losses.check_logits(logits, y)
  return logit(jax.nn.softmax(widened(logits)), y)


def log_probability(logits: Array, y: Array) -> Array:
  """log softmax(z)_y.

  Args:
    logits: [B, K].
    y: the classes, int [B].

  Returns:
    [B], <= 0.

  >>> log_probability(jnp.zeros((1, 4)), jnp.array([0])).tolist()
  [-1.386]
  """
  losses.check_logits(logits, y)
  return logit(jax.nn.log_softmax(widened(logits)), y)


def cross_entropy(logits: Array, y: Array) -> Array:
  """-log softmax(z)_y, the loss gradient of Kim et al. and Ross & Doshi-Velez.

  Args:
    logits: [B, K].
    y: the classes, int [B].

  Returns:
    [B], >= 0.

  >>> cross_entropy(jnp.zeros((1, 4)), jnp.array([0])).tolist()
  [1.386]
  """
  return losses.cross_entropy(logits, y)


def uniform_cross_entropy(logits: Array, y: Array) -> Array:
  """H(1/K, softmax(z)), the mean of -log softmax(z)_k over all classes; the class plays no part.

  It is large where the network is certain: the saliency maps of Ross & Doshi-Velez (2018, figure
  6) are minus K times its gradient.

  Args:
    logits: [B, K].
    y: the classes, int [B].

  Returns:
    [B], at least log K.

  >>> uniform_cross_entropy(jnp.zeros((1, 4)), jnp.array([0])).tolist()
  [1.386]
  """
  losses.check_logits(logits, y)
  return -jnp.mean(jax.nn.log_softmax(widened(logits)), axis=-1)


def margin(logits: Array, y: Array) -> Array:
  """z_y - max_{j != y} z_j: why this class and not the next.

  Args:
    logits: [B, K].
    y: the classes, int [B].

  Returns:
    [B], in the logits' units; negative where the class is not the likeliest.

  >>> margin(jnp.array([[2.0, 1.5, 0.0]]), jnp.array([0])).tolist()
  [0.5]
  """
  losses.check_logits(logits, y)
  return -losses.cw_margin(logits, y)


SCORES: dict[str, Score] = {
  "logit": logit,
  "probability": probability,
  "log_probability": log_probability,
  "cross_entropy": cross_entropy,
  "uniform_cross_entropy": uniform_cross_entropy,
  "margin": margin,
}

# The names of those that are never negative.
NON_NEGATIVE = ("probability", "cross_entropy", "uniform_cross_entropy")


def get_score(score: str | Score) -> Score:
  """The score of this name, or a function of one's own, held to one number for each example.

  Args:
    score: a name of `SCORES`, or any `(logits [B, K], y [B]) -> [B]`.

  Returns:
    The function.

  Raises:
    ValueError: for an unknown name.

  >>> get_score("margin") is margin
  True
  """
  if callable(score):
    ours = score in SCORES.values()
    return score if ours else losses.of_each_example(score, argument="score")
  checks.one_of(score, SCORES, argument="score")
  return SCORES[score]
