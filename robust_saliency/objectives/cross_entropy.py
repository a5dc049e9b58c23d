"""Cross-entropy at a temperature."""

import jax
import jax.numpy as jnp
import optax
from jax import Array

from robust_saliency.core import LogitsFn, checks
from robust_saliency.core.tracing import widened
from robust_saliency.objectives import arguments
from robust_saliency.objectives.passes import TrainingPasses
from robust_saliency.objectives.terms import term


def cross_entropy(
  logits_fn: LogitsFn, x: Array, y: Array, *, temperature: float | Array = 1.0
) -> Array:
  """-log softmax(z / T)_y, per example.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C].
    y: classes, int [B].
    temperature: T (traced); above 1 for the teacher of a defensive distillation.

  Returns:
    Losses [B].

  Raises:
    ValueError, TypeError: for a temperature that is not positive, images, classes or logits of
      other shapes or dtypes, or classes that there are not.

  >>> import jax.numpy as jnp
  >>> cross_entropy(lambda x: 0 * x[:, 0, 0], jnp.ones((1, 1, 1, 2)), jnp.array([0])).tolist()
  [0.693]
  """
  check_temperature(temperature)
  logits = arguments.checked(logits_fn, x)(x)
  checks.labels(y, batch=logits.shape[0], classes=logits.shape[1])
  return cross_entropy_of_logits(logits, y, temperature=temperature)


@term("cross_entropy", title="Cross-entropy on the batch")
def _term(passes: TrainingPasses, *, temperature: float = 1.0) -> Array:
  return cross_entropy_of_logits(passes.clean().logits, passes.batch.y, temperature=temperature)


def cross_entropy_of_logits(
  logits: Array, labels: Array, *, temperature: float | Array = 1.0
) -> Array:
  """-sum_k p_k log softmax(z / T)_k for logits [B, K] and labels p: classes [B], or shares [B, K].

  >>> import jax.numpy as jnp
  >>> logits = jnp.array([[0.0, 1.0]])
  >>> cross_entropy_of_logits(logits, jnp.array([1])).tolist()
  [0.313]
  >>> cross_entropy_of_logits(logits, jnp.array([[0.5, 0.5]])).tolist()
  [0.813]
  """
  check_temperature(temperature)
  logits = widened(logits) / temperature
  if labels.ndim == logits.ndim:
    log_shares = jax.nn.log_softmax(logits)
    # A class that is masked by -inf has no share of the labels either.
    return -jnp.sum(labels * jnp.where(labels == 0, 0.0, log_shares), axis=-1)
  return optax.losses.softmax_cross_entropy_with_integer_labels(logits, labels)


def check_temperature(temperature: float | Array) -> None:
  """Raises unless it is one number > 0."""
  checks.scalar(temperature=temperature)
  checks.positive(temperature=temperature)
