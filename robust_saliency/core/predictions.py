"""What a network predicts, also where its logits are no numbers."""

import jax.numpy as jnp
from jax import Array

NO_CLASS = -1


def predicted_class(logits: Array) -> Array:
  """The class of the largest logit, `NO_CLASS` where one is NaN.

  Args:
    logits: [..., K].

  Returns:
    int32 [...]. The argmax of NaN would be the class of the first NaN, which may be the right one.

  >>> predicted_class(jnp.array([[1.0, 2.0], [jnp.nan, jnp.nan]])).tolist()
  [1, -1]
  """
  unknown = jnp.isnan(logits).any(axis=-1)
  return jnp.where(unknown, NO_CLASS, jnp.argmax(logits, axis=-1)).astype(jnp.int32)


def is_correct(logits: Array, y: Array) -> Array:
  """Whether the largest logit is that of the true class; never where a logit is NaN.

  Args:
    logits: [..., K].
    y: true classes, int [...].

  Returns:
    bool [...].
  """
  return predicted_class(logits) == y
