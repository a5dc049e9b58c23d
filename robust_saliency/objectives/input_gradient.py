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

Noack et al.'s code has a third form, the norm of the mean cross-entropy's gradient, not squared:

    L + lambda ||dL / dX||_F,    ||dL / dX||_F = 1/B sqrt(sum_n ||d CE_n / dx_n||^2)

which is "batch_root": one number of the whole batch, that shrinks with 1 / sqrt(B).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import LogitsFn, checks
from robust_saliency.objectives import arguments
from robust_saliency.objectives.cross_entropy import cross_entropy_of_logits
from robust_saliency.objectives.output_gradients import OUTPUTS
from robust_saliency.objectives.passes import ForwardPass, TrainingPasses, forward_pass
from robust_saliency.objectives.safe_norms import root, squared_lengths
from robust_saliency.objectives.terms import term

SCALINGS = ("per_example", "batch_mean", "batch_root")

# The labels p of H(p, f(x)), which may depend on the logits: classes [B] or probabilities [B, K].
Labels = Callable[[Array], Array]


def penalty_on(
  once: ForwardPass,
  labels: Labels,
  *,
  scaling: str = "per_example",
  batch_size: Array | float | None = None,
  total: Callable[[Array], Array] = jnp.sum,
) -> Array:
  """||d H(p, f(x)) / dx||^2, per example: what all of these penalties are.

  Args:
    once: a forward pass.
    labels: logits [B, K] -> p, as classes [B] or as probabilities [B, K]. It is differentiated
      with the rest: hold it constant with `jax.lax.stop_gradient` where it must not be.
    scaling: as in `input_gradient_penalty`.
    batch_size: the number of examples in the batch, for all but "per_example"; None for those of
      the pass.
    total: sums numbers [B] over the whole batch, for "batch_root".

  Returns:
    Penalties [B]; with "batch_root" one number, [].

  Raises:
    ValueError: for an unknown scaling.

  >>> once = forward_pass(lambda x: x[:, 0, 0], jnp.zeros((1, 1, 1, 2)), jnp.array([0]))
  >>> penalty_on(once, lambda logits: once.y).tolist()
  [0.5]
  """
  checks.one_of(scaling, SCALINGS, argument="scaling")
  gradient = once.input_gradient(lambda logits: cross_entropy_of_logits(logits, labels(logits)))
  squares = squared_lengths(gradient)
  if scaling == "per_example":
    return squares
  size = gradient.shape[0] if batch_size is None else batch_size
  return squares / (2 * size) if scaling == "batch_mean" else root(total(squares)) / size


def uniform(logits: Array) -> Array:
  """The labels p_k = 1 / K."""
  return jnp.full_like(logits, 1 / logits.shape[-1])


def input_gradient_penalty(
  logits_fn: LogitsFn, x: Array, y: Array, *, scaling: str = "per_example"
) -> Array:
  """||d H(y, f(x)) / dx||^2, per example: GR(y).

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K], in the mode that is trained.
    x: images [B, H, W, C].
    y: classes, int [B].
    scaling: "per_example" for the paper's equation 6, "batch_mean" for its code, which is
      1 / (2 B) of that, "batch_root" for the norm of the mean loss's gradient over the images given
      (in a step that several devices share, use the term).

  Returns:
    Penalties [B], whose mean times lambda goes into the loss; with "batch_root" one number, [].

  Raises:
    ValueError, TypeError: for an unknown scaling, images, classes or logits of other shapes or
      dtypes, or classes that there are not.

  Source: Ross & Doshi-Velez 2018, equation 6; Drucker & Le Cun 1992 for double backpropagation.

  >>> x = jnp.zeros((1, 1, 1, 2))
  >>> input_gradient_penalty(lambda x: x[:, 0, 0], x, jnp.array([0])).tolist()
  [0.5]
  """
  return penalty_on(forward_pass(logits_fn, x, y), lambda _: y, scaling=scaling)


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
  return penalty_on(forward_pass(logits_fn, x, y), uniform, scaling=scaling)


def distilled_label_penalty(
  logits_fn: LogitsFn, x: Array, targets: Array, *, scaling: str = "per_example"
) -> Array:
  """||d H(p, f(x)) / dx||^2 for a teacher's probabilities p, per example.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K], in the mode that is trained.
    x: images [B, H, W, C].
    targets: the probabilities p [B, K], >= 0 and of sum 1: in the paper those of an undefended
      network trained and evaluated at temperature 50.
    scaling: as in `input_gradient_penalty`.

  Returns:
    Penalties [B].

  Raises:
    ValueError, TypeError: for an unknown scaling, images, probabilities or logits of other shapes
      or dtypes, or targets that are no probabilities.

  Source: Ross & Doshi-Velez 2018, figure 9.

  >>> x = jnp.zeros((1, 1, 1, 2))
  >>> distilled_label_penalty(lambda x: x[:, 0, 0], x, jnp.array([[0.5, 0.5]])).tolist()
  [0.0]
  """
  checks.images(x)
  y = jnp.zeros(x.shape[0], jnp.int32)  # the classes play no part
  once = forward_pass(logits_fn, x, y)
  arguments.probabilities(targets, once.logits)
  return penalty_on(once, lambda _: targets, scaling=scaling)


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
    ValueError, TypeError: as of `input_gradient_penalty`, or for `constant_labels` that are
      neither True nor False.

  Source: Ross & Doshi-Velez 2018, figure 9.

  >>> x = jnp.array([[[[1.0, 0.0]]]])
  >>> entropy_penalty(lambda x: x[:, 0, 0], x, jnp.array([0])).tolist()
  [0.077]
  """
  labels = _own(constant_labels=constant_labels)
  return penalty_on(forward_pass(logits_fn, x, y), labels, scaling=scaling)


def _own(*, constant_labels: bool) -> Labels:
  checks.flag(constant_labels=constant_labels)
  probabilities = OUTPUTS["probabilities"]
  if constant_labels:
    return lambda logits: jax.lax.stop_gradient(probabilities(logits))
  return probabilities


def _term(passes: TrainingPasses, labels: Labels, *, scaling: str, penalty_mode: str) -> Array:
  once = passes.in_mode(penalty_mode)
  batch = passes.batch
  return penalty_on(once, labels, scaling=scaling, batch_size=batch.size, total=batch.total)


@term("input_gradient_penalty", title="Input gradient penalty, true labels")
def _true_labels(
  passes: TrainingPasses, *, scaling: str = "per_example", penalty_mode: str = "training"
) -> Array:
  return _term(passes, lambda _: passes.batch.y, scaling=scaling, penalty_mode=penalty_mode)


@term("certainty_penalty", title="Input gradient penalty, uniform labels")
def _uniform_labels(
  passes: TrainingPasses, *, scaling: str = "per_example", penalty_mode: str = "training"
) -> Array:
  return _term(passes, uniform, scaling=scaling, penalty_mode=penalty_mode)


@term(
  "distilled_label_penalty",
  title="Input gradient penalty, teacher’s labels",
  needs={"soft_targets": "labels"},
)
def _teacher_labels(
  passes: TrainingPasses,
  *,
  temperature: float = 50.0,
  scaling: str = "per_example",
  penalty_mode: str = "training",
) -> Array:
  del temperature  # that of the teacher's probabilities, which are in the batch already
  targets = passes.batch.targets["soft_targets"]
  return _term(passes, lambda _: targets, scaling=scaling, penalty_mode=penalty_mode)


@term("entropy_penalty", title="Input gradient penalty, entropy")
def _own_labels(
  passes: TrainingPasses,
  *,
  scaling: str = "per_example",
  constant_labels: bool = False,
  penalty_mode: str = "training",
) -> Array:
  labels = _own(constant_labels=constant_labels)
  return _term(passes, labels, scaling=scaling, penalty_mode=penalty_mode)
