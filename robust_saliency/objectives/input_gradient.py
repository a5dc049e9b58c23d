"""Ross & Doshi-Velez's input-gradient penalties (double backpropagation).

They differ in the labels p of the cross-entropy H(p, f(x)) whose gradient is penalised: the true
ones, uniform ones, a distilled network's, or the network's own.

All are squared l2 norms per example, ||d H / d x_n||^2 with H summed over the batch, and a loss
adds lambda times their mean over the batch to the mean cross-entropy: equation 6 of the paper.

The authors' code differentiates the *mean* cross-entropy and halves the sum of squares, so that
the lambdas in the paper's figures belong to

    L + lambda_code / 2 * sum (dL / dX)^2
      = mean_n [ CE_n + lambda_code / (2 B) ||d CE / d x_n||^2 ].

Hence lambda = lambda_code / (2 B): 1/512 of the quoted number at their batch of 256. `scaling`
chooses between the two; with "batch_mean" the number B of examples in the batch is part of it.
"""

import jax
import jax.numpy as jnp
import optax
from jax import Array

from robust_saliency.core import LogitsFn, checks
from robust_saliency.objectives.classification import cross_entropy_of_logits
from robust_saliency.objectives.forward import ForwardPass, forward_pass

SCALINGS = ("per_example", "batch_mean")


def input_gradient_penalty(
  logits_fn: LogitsFn, x: Array, y: Array, *, scaling: str = "per_example"
) -> Array:
  """||d H(y, f(x)) / dx||^2, per example: GR(y).

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K], in the mode that is trained.
    x: images [B, H, W, C].
    y: classes, int [B].
    scaling: "per_example" for the paper's equation 6, "batch_mean" for its code, which is
      1 / (2 B) of that.

  Returns:
    Penalties [B]; their mean times lambda goes into the loss.

  Raises:
    ValueError: for an unknown scaling.

  Source: Ross & Doshi-Velez 2018, equation 6; Drucker & Le Cun 1992 for double backpropagation.

  >>> x = jnp.zeros((1, 1, 1, 2))
  >>> input_gradient_penalty(lambda x: x[:, 0, 0], x, jnp.array([0])).tolist()
  [0.5]
  """
  return gr_true_label(forward_pass(logits_fn, x, y), scaling=scaling)


def certainty_penalty(
  logits_fn: LogitsFn, x: Array, y: Array, *, scaling: str = "per_example"
) -> Array:
  """||d H(1/K, f(x)) / dx||^2, per example: GR(1/K), certainty sensitivity.

  Arguments, result and errors are those of `input_gradient_penalty`; the classes play no part.

  Source: Ross & Doshi-Velez 2018, section "Input gradient regularization".

  >>> x = jnp.zeros((1, 1, 1, 2))
  >>> certainty_penalty(lambda x: x[:, 0, 0], x, jnp.array([0])).tolist()
  [0.0]
  """
  return gr_certainty(forward_pass(logits_fn, x, y), scaling=scaling)


def distilled_label_penalty(
  logits_fn: LogitsFn, x: Array, targets: Array, *, scaling: str = "per_example"
) -> Array:
  """||d H(p, f(x)) / dx||^2 for a teacher's probabilities p, per example.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K], in the mode that is trained.
    x: images [B, H, W, C].
    targets: the probabilities p [B, K]: in the paper those of an undefended network trained and
      evaluated at temperature 50.
    scaling: as in `input_gradient_penalty`.

  Returns:
    Penalties [B].

  Raises:
    ValueError: for an unknown scaling.

  Source: Ross & Doshi-Velez 2018, figure 9.

  >>> x = jnp.zeros((1, 1, 1, 2))
  >>> distilled_label_penalty(lambda x: x[:, 0, 0], x, jnp.array([[0.5, 0.5]])).tolist()
  [0.0]
  """
  y = jnp.zeros(x.shape[0], jnp.int32)  # the classes play no part
  return gr_soft_labels(forward_pass(logits_fn, x, y), targets, scaling=scaling)


def entropy_penalty(
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  scaling: str = "per_example",
  constant_labels: bool = False,
) -> Array:
  """||d H(f(x), f(x)) / dx||^2, the gradient of the prediction's entropy, per example.

  The paper found that it has no effect at any lambda. It does not say whether the labels f(x) are
  differentiated, too. If they are not (`constant_labels`), that is no finding but an identity:
  sum_k f_k d log f_k = d sum_k f_k = 0 everywhere.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K], in the mode that is trained.
    x: images [B, H, W, C].
    y: classes, int [B]; they play no part.
    scaling: as in `input_gradient_penalty`.
    constant_labels: whether the labels are held constant in the input gradient.

  Returns:
    Penalties [B].

  Raises:
    ValueError: for an unknown scaling.

  Source: Ross & Doshi-Velez 2018, figure 9.

  >>> x = jnp.array([[[[1.0, 0.0]]]])
  >>> entropy_penalty(lambda x: x[:, 0, 0], x, jnp.array([0])).tolist()
  [0.077]
  """
  return gr_entropy(forward_pass(logits_fn, x, y), scaling=scaling, constant_labels=constant_labels)


def gr_true_label(
  once: ForwardPass, *, scaling: str = "per_example", batch_size: Array | float | None = None
) -> Array:
  """`input_gradient_penalty` on a forward pass that is there already."""
  gradient = once.input_gradient(lambda logits: cross_entropy_of_logits(logits, once.y))
  return _squared_length(gradient, scaling, batch_size)


def gr_certainty(
  once: ForwardPass, *, scaling: str = "per_example", batch_size: Array | float | None = None
) -> Array:
  """`certainty_penalty` on a forward pass that is there already."""
  uniform = jnp.full_like(once.logits, 1 / once.logits.shape[-1])
  return gr_soft_labels(once, uniform, scaling=scaling, batch_size=batch_size)


def gr_soft_labels(
  once: ForwardPass,
  targets: Array,
  *,
  scaling: str = "per_example",
  batch_size: Array | float | None = None,
) -> Array:
  """`distilled_label_penalty` on a forward pass that is there already."""
  gradient = once.input_gradient(lambda logits: optax.losses.softmax_cross_entropy(logits, targets))
  return _squared_length(gradient, scaling, batch_size)


def gr_entropy(
  once: ForwardPass,
  *,
  scaling: str = "per_example",
  constant_labels: bool = False,
  batch_size: Array | float | None = None,
) -> Array:
  """`entropy_penalty` on a forward pass that is there already."""

  def entropy(logits: Array) -> Array:
    labels = jax.nn.softmax(logits)
    labels = jax.lax.stop_gradient(labels) if constant_labels else labels
    return optax.losses.softmax_cross_entropy(logits, labels)

  return _squared_length(once.input_gradient(entropy), scaling, batch_size)


def _squared_length(gradient: Array, scaling: str, batch_size: Array | float | None) -> Array:
  checks.one_of(scaling, SCALINGS, argument="scaling")
  squares = jnp.sum(gradient**2, axis=tuple(range(1, gradient.ndim)))
  if scaling == "per_example":
    return squares
  return squares / (2 * (gradient.shape[0] if batch_size is None else batch_size))
