"""Any Equinox module as training takes it, with stock batch norm and dropout."""

import inspect
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import ApplyFn

# Of the examples on one device, to which batch norm adds the step's own, "batch".
EXAMPLES = "examples"


def from_equinox(
  model: Any, state: Any = None, *, channels_first: bool = True
) -> tuple[ApplyFn, dict[str, Any]]:
  """An Equinox module of your own as training takes it, and its variables.

  It sees one example at a time, as all Equinox modules do. Its batch norm has to be told over what
  a batch is shared: `eqx.nn.BatchNorm(..., axis_name=("examples", "batch"))`. A short last batch is
  to be dropped (`batch_indices(..., drop_short=True)`), since batch norm would count its padding.

  Args:
    model: called as `model(x)`, `model(x, key=key)` where that is an argument, and with its state
      as `model(x, state)`. `eqx.nn.inference_mode` sets its mode.
    state: the `eqx.nn.State` of a model that has one, see `eqx.nn.make_with_state`.
    channels_first: whether it takes images [C, H, W], as Equinox's convolutions do.

  Returns:
    The function, see `from_flax`, and {"params": ..., "batch_stats": ...}. A dropout mask follows
    the example's own key.

  Raises:
    ImportError: where Equinox is not installed.

  Example, run in `tests/models/test_from_equinox_peers.py`:

      model, state = eqx.nn.make_with_state(Net)(jax.random.key(0))
      apply_fn, variables = models.from_equinox(model, state)
  """
  import equinox as eqx  # of those who have a module of it

  params, static = eqx.partition(model, eqx.is_inexact_array)
  takes_key = "key" in inspect.signature(type(model).__call__).parameters

  def apply(
    variables: Mapping[str, Any],
    x: Array,
    *,
    train: bool = False,
    mask: Array | None = None,
    dropout_keys: Array | None = None,
  ) -> tuple[Array, Mapping[str, Any]]:
    del mask
    network = eqx.nn.inference_mode(eqx.combine(variables["params"], static), value=not train)
    carried = variables["batch_stats"]
    if channels_first and x.ndim > 2:
      x = jnp.moveaxis(x, -1, 1)

    def of_one(image: Array, key: Array | None, state: Any) -> tuple[Array, Any]:
      keys = {"key": key} if takes_key else {}
      if state is None:
        return network(image, **keys), None
      return network(image, state, **keys)

    keys = dropout_keys if train else None
    # One state for all: batch norm has reduced its statistics over them.
    over_examples = jax.vmap(
      of_one,
      in_axes=(0, None if keys is None else 0, None),
      out_axes=(0, None),
      axis_name=EXAMPLES,
    )
    logits, carried = over_examples(x, keys, carried)
    return logits, {"batch_stats": carried}

  return apply, {"params": params, "batch_stats": state}
