"""Jacobian regularisation: the squared length of all input gradients of a network's outputs.

J_n = d o / dx_n is the Jacobian [K, H W C] at x_n. Two ways to it, whose weights do not compare:

  jacobian_penalty            ||J_n||_F^2 exactly, by K backward passes
  projected_jacobian_penalty  K/2 ||v J_n||^2 for random unit vectors v, whose mean is
                              1/2 ||J_n||_F^2: by one backward pass, half as large on average

Jakubovitz & Giryes minimise sqrt(sum_n ||J_n||_F^2) over the whole batch instead ("batch_root"),
which is neither squared nor averaged: sqrt(B) times the root mean square, so that its weight
belongs to a batch size.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import Key, LogitsFn, checks, example_keys
from robust_saliency.objectives.output_gradients import (
  class_gradients,
  output_gradients,
  shared_class_gradients,
)
from robust_saliency.objectives.passes import ForwardPass, TrainingPasses, forward_pass
from robust_saliency.objectives.safe_norms import root, squared_lengths
from robust_saliency.objectives.terms import term

SCALINGS = ("per_example", "batch_root")


def jacobian_penalty(
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  scaling: str = "per_example",
  output: str = "logits",
) -> Array:
  """||d o / dx_n||_F^2, per example: the exact Frobenius norm of the Jacobian, squared.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K], in the mode that is trained.
    x: images [B, H, W, C].
    y: classes, int [B]; they play no part.
    scaling: "per_example", or "batch_root" for the norm of all Jacobians of the batch together,
      sqrt(sum_n ||J_n||_F^2): over the images given; the term sums over all devices.
    output: o, "logits", "probabilities" or "log_probabilities".

  Returns:
    Penalties [B], whose mean times lambda goes into the loss; with "batch_root" one number, [].

  Raises:
    ValueError, TypeError: for an unknown scaling or output, images, classes or logits of other
      shapes or dtypes, or classes that there are not.

  Source: the norm is Sokolic et al.'s 2017, "Robust large margin deep neural networks"; over the
  batch, Jakubovitz & Giryes 2018, "Improving DNN robustness to adversarial attacks using Jacobian
  regularization".

  >>> x, y = jnp.zeros((1, 1, 1, 2)), jnp.array([0])
  >>> jacobian_penalty(lambda x: 3 * x[:, 0, 0], x, y).tolist()
  [18.0]
  """
  checks.one_of(scaling, SCALINGS, argument="scaling")
  squares = _squares(class_gradients(forward_pass(logits_fn, x, y), output=output))
  return squares if scaling == "per_example" else root(jnp.sum(squares))


def projected_jacobian_penalty(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  projections: int = 1,
  output: str = "logits",
) -> Array:
  """K/2 ||v d o / dx_n||^2, per example: an estimate of half the squared norm of the Jacobian.

      E[K/2 ||v J_n||^2] = 1/2 ||J_n||_F^2     for v uniform on the unit sphere of R^K

  averaged over `projections` draws of v. The mean over a batch is Hoffman et al.'s
  R = K/(2B) sum_n ||v_n J_n||^2: a lambda of theirs is a weight of this term, and about twice a
  weight of `jacobian_penalty`. The expectation holds where examples do not share batch statistics.

  Args:
    key: one PRNG key, or one per example [B].
    logits_fn: maps images [B, H, W, C] to logits [B, K], in the mode that is trained.
    x: images [B, H, W, C].
    y: classes, int [B]; they play no part.
    projections: how many vectors v each example has (static); each is a backward pass.
    output: o, "logits", "probabilities" or "log_probabilities".

  Returns:
    Penalties [B]; an example's depends on its own key.

  Raises:
    ValueError, TypeError: as of `jacobian_penalty`, for projections that are no whole number >= 1,
      or a key that is none.

  Source: Hoffman, Roberts & Yaida 2019, "Robust learning with Jacobian regularization", algorithm
  1; the factor is that of the authors' package.

  >>> x, y = jnp.zeros((1, 1, 1, 2)), jnp.array([0])
  >>> projected_jacobian_penalty(jax.random.key(0), lambda x: 3 * x[:, 0, 0], x, y).tolist()
  [9.0]
  """
  checks.count(projections=projections)
  once = forward_pass(logits_fn, x, y)
  keys = example_keys(key, x.shape[0])
  return _projected(once, keys, projections=projections, output=output)


def _squares(gradients: Array) -> Array:
  """[M, B, H, W, C] -> the sum of squares of each example, [B]."""
  return jnp.sum(jax.vmap(squared_lengths)(gradients), axis=0)


def unit_vectors(keys: Array, shape: tuple[int, int], dtype: Any) -> Array:
  """M vectors from the unit sphere of R^K for each key [B], of a shape (M, K): [M, B, K]."""

  def draw(key: Array) -> Array:
    v = jax.random.normal(key, shape, jnp.promote_types(dtype, jnp.float32))
    return (v / jnp.linalg.norm(v, axis=1, keepdims=True)).astype(dtype)

  return jnp.moveaxis(jax.vmap(draw)(keys), 1, 0)


def _projected(once: ForwardPass, keys: Array, *, projections: int, output: str) -> Array:
  classes = once.logits.shape[1]
  directions = unit_vectors(keys, (projections, classes), once.logits.dtype)
  squares = _squares(output_gradients(once, directions, output=output))
  return classes / (2 * projections) * squares


@term("jacobian_penalty", title="Norm of the Jacobian")
def _exact(
  passes: TrainingPasses,
  *,
  scaling: str = "per_example",
  output: str = "logits",
  penalty_mode: str = "training",
) -> Array:
  checks.one_of(scaling, SCALINGS, argument="scaling")
  squares = _squares(shared_class_gradients(passes, output=output, penalty_mode=penalty_mode))
  return squares if scaling == "per_example" else root(passes.batch.total(squares))


@term("projected_jacobian_penalty", title="Norm of the Jacobian, by random projection")
def _by_projection(
  passes: TrainingPasses,
  *,
  projections: int = 1,
  output: str = "logits",
  penalty_mode: str = "training",
) -> Array:
  checks.count(projections=projections)
  keys = passes.keys("projected_jacobian_penalty")
  return _projected(passes.in_mode(penalty_mode), keys, projections=projections, output=output)
