"""BPDA: a backward pass for what has none, so that gradient attacks see through it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import checks


def with_surrogate_gradient(
  forward: Callable[[Array], Array], surrogate: Callable[[Array], Array] | None = None
) -> Callable[[Array], Array]:
  """The values of one function with the derivatives of another.

  Quantisation, JPEG compression, or a purifier that runs many steps have no gradient, or none
  that is of use: an attack through them gains nothing, which says nothing about the model. Put a
  function with a similar output in their place for the backward pass alone:

      logits_fn = lambda x: network(with_surrogate_gradient(quantise)(x))

  Args:
    forward: what is computed, to the last bit; need not be differentiable, nor even be traced (a
      `jax.pure_callback`).
    surrogate: what is differentiated in its stead, of the same output shape and dtype; None for
      the identity, which is right where `forward` changes its input little.

  Returns:
    A function with `forward`'s values, and `surrogate`'s derivatives of any order and in either
    mode. It has no derivative with respect to what `forward` closes over.

  Raises:
    ValueError: when it is called, if the two disagree on the shape or dtype of their output.

  Source: Athalye et al. 2018, "Obfuscated gradients give a false sense of security", section 4.1
  ("backward pass differentiable approximation").

  >>> quantise = with_surrogate_gradient(jnp.round)
  >>> jax.value_and_grad(lambda x: 3 * quantise(x))(0.7)
  (Array(3., dtype=float32, weak_type=True), Array(3., dtype=float32, weak_type=True))
  """
  checks.function(forward=forward)
  if surrogate is not None:
    checks.function(surrogate=surrogate)

  def function(x: Array) -> Array:
    value = jax.lax.stop_gradient(forward(jax.lax.stop_gradient(x)))
    stand_in = x if surrogate is None else surrogate(x)
    shapes = [(jnp.shape(a), jnp.result_type(a)) for a in (value, stand_in)]
    if shapes[0] != shapes[1]:
      raise ValueError(
        "surrogate must give what forward gives, {1} of shape {0}, got {3} of shape {2}".format(
          *shapes[0], *shapes[1]
        )
      )
    # What is added is exactly 0 wherever the surrogate is finite, and has all its derivatives.
    return value + (stand_in - jax.lax.stop_gradient(stand_in))

  return function
