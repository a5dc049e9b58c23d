"""The training step of one device, and the one place that maps a step over devices."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from robust_saliency.core import ApplyFn
from robust_saliency.objectives import Batch, Objective
from robust_saliency.training.state import TrainState

AXIS = "batch"

# Resident data: "x" [N, H, W, C], "y" int [N], and "soft_targets" [N, K] where one is distilled.
Data = Mapping[str, Array | np.ndarray]

# (state, data, this device's indices into the data) -> (state, metrics), both reduced over AXIS.
Step = Callable[[Any, Any, Array], tuple[Any, dict[str, Array]]]


def make_step(
  apply_fn: ApplyFn,
  objective: Objective,
  optimizer: optax.GradientTransformation,
  *,
  to_float: Callable[[Array], Array],
) -> Step:
  """One step of gradient descent on one device's part of a batch.

  Args:
    apply_fn: the network, see `core.ApplyFn`; its batch norms reduce over the axis "batch".
    objective: what is minimised.
    optimizer: any optax optimiser.
    to_float: resident pixels (uint8, say) -> float pixels.

  Returns:
    `(state, data, indices) -> (state, metrics)` for use under the axis "batch". `indices` [B] are
    the device's examples, -1 for padding; every example counts once, whatever the number of
    devices. Metrics are means over the batch.
  """

  def step(state: TrainState, data: Data, indices: Array) -> tuple[TrainState, dict[str, Array]]:
    rows = jnp.maximum(indices, 0)
    mask = (indices >= 0).astype(jnp.float32)
    step_key = jax.random.fold_in(jax.random.wrap_key_data(state.seed), state.step)
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(step_key, rows)
    batch = Batch(
      x=to_float(data["x"][rows]),
      y=data["y"][rows],
      mask=mask,
      size=jax.lax.psum(jnp.sum(mask), AXIS),
      soft_targets=data["soft_targets"][rows] if "soft_targets" in data else None,
    )

    def loss(params: Any) -> tuple[Array, Any]:
      share = objective(keys, apply_fn, {**state.variables, "params": params}, batch)
      return share.total, share

    gradient, share = jax.grad(loss, has_aux=True)(state.params)
    gradient, weight, metrics = jax.lax.psum((gradient, share.weight, share.metrics), AXIS)
    gradient = jax.tree.map(lambda g: g / weight, gradient)
    updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    new_state = dataclasses.replace(
      state,
      step=state.step + 1,
      params=optax.apply_updates(state.params, updates),
      batch_stats=share.batch_stats,
      opt_state=opt_state,
    )
    return new_state, {name: total / count for name, (total, count) in metrics.items()}

  return step


def map_over_devices(step: Step, devices: Sequence[jax.Device] | None = None) -> Step:
  """The step on all devices at once: state in and out whole, indices [devices, B / devices].

  Args:
    step: any `(state, data, indices) -> (state, metrics)` that reduces over the axis "batch"
      whatever it returns.
    devices: the devices to use; None for all of them, over all processes.

  Returns:
    The compiled step. The state that it is given is consumed.
  """
  return jax.pmap(
    step,
    axis_name=AXIS,
    in_axes=(None, None, 0),
    out_axes=(None, None),
    donate_argnums=0,
    devices=devices,
  )


def replicate(tree: Any, devices: Sequence[jax.Device] | None = None) -> Any:
  """Copies arrays to every local device once, so that no later call has to send them again."""
  mesh = Mesh(np.asarray(devices or jax.local_devices()), ("device",))
  # By way of the host: the step consumes its state, and must not take the caller's arrays with it.
  copies = jax.tree.map(np.array, tree)
  return jax.device_put(copies, NamedSharding(mesh, PartitionSpec()))
