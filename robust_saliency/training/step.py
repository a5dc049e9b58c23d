"""The training step of one device, and the one place that maps a step over devices."""

import collections
import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from robust_saliency.core import ApplyFn, checks
from robust_saliency.core.keys import as_threefry
from robust_saliency.objectives import AXIS, Batch, Objective
from robust_saliency.training.state import TrainState

# Resident data: "x" [N, H, W, C] and "y" int [N]; "included" [N] where only the examples with 1,
# not those with 0, are to count. Any other array [N, ...] is for the objective, as
# `batch.targets[name]`; one of the images' height and width, [N, H, W, ...], is a map of them and
# is augmented together with them. Numbers [] are for whoever makes the step.
Data = Mapping[str, Array | np.ndarray]

# (keys [B], resident pixels, maps by name [B, H, W, ...]) -> both, moved alike, of the same types.
Augment = Callable[[Array, Array, dict[str, Array]], tuple[Array, dict[str, Array]]]

# (state, data, this device's indices into the data) -> (state, metrics), both reduced over AXIS.
Step = Callable[[Any, Any, Array], tuple[Any, dict[str, Array]]]

# In one call of an accelerator, whose small networks are bound by the dispatch of their steps.
STEPS_PER_CALL = 50


def make_step(
  apply_fn: ApplyFn,
  objective: Objective,
  optimizer: optax.GradientTransformation,
  *,
  to_float: Callable[[Array], Array],
  augment: Augment | None = None,
  averaging: float | Array = 0.0,
) -> Step:
  """One step of gradient descent on one device's part of a batch.

  Args:
    apply_fn: the network, see `core.ApplyFn`; its batch norms reduce over the axis "batch".
    objective: what is minimised.
    optimizer: any optax optimiser.
    to_float: resident pixels (uint8, say) -> float pixels.
    augment: (keys [B], resident pixels, their maps) -> (pixels, maps); None for none.
    averaging: d of the parameters' moving average, a <- d a + (1 - d) w after each step, where the
      state has one.

  Returns:
    `(state, data, indices) -> (state, metrics)` for use under the axis "batch". `indices` [B] are
    the device's examples, -1 for padding; every example counts once, whatever the number of
    devices. Metrics are means over the batch.

  >>> from robust_saliency import objectives
  >>> from robust_saliency.training.state import create_state
  >>> linear = lambda variables, x, **_: (x.reshape(len(x), -1) @ variables["params"]["w"], {})
  >>> objective, optimizer = objectives.weighted_sum({"cross_entropy": {}}), optax.sgd(1.0)
  >>> step = make_step(linear, objective, optimizer, to_float=lambda x: x / 255)
  >>> state = create_state({"params": {"w": jnp.zeros((2, 2))}}, optimizer, seed=0)
  >>> data = {"x": np.full((4, 1, 2, 1), 255, np.uint8), "y": np.zeros(4, int)}
  >>> state, metrics = jax.pmap(step, AXIS, in_axes=(None, None, 0), out_axes=(None, None))(
  ...   state, data, np.array([[0, 1, 2, -1]])
  ... )
  >>> float(metrics["loss"]), state.params["w"].tolist()  # log 2, and a step of 1/2
  (0.693, [[0.5, -0.5], [0.5, -0.5]])
  """

  def step(state: TrainState, data: Data, indices: Array) -> tuple[TrainState, dict[str, Array]]:
    rows, mask, keys = examples_of(state, data, indices)
    x = data["x"][rows]
    targets = {
      name: array[rows]
      for name, array in data.items()
      if name not in ("x", "y", "included") and jnp.ndim(array) > 0
    }
    if augment is not None:
      of_x = {name: t for name, t in targets.items() if t.ndim > 2 and t.shape[:3] == x.shape[:3]}
      augmentation_keys = jax.vmap(jax.random.fold_in, in_axes=(0, None))(keys, _AUGMENTATION)
      x, of_x = augment(augmentation_keys, x, of_x)
      targets |= of_x
    batch = Batch(
      x=to_float(x),
      y=data["y"][rows],
      mask=mask,
      size=jnp.maximum(jax.lax.psum(jnp.sum(mask), AXIS), 1),
      targets=targets,
      step=state.step,
    )

    def loss(params: Any) -> tuple[Array, Any]:
      loss_sum = objective(keys, apply_fn, {**state.variables, "params": params}, batch)
      return loss_sum.sum, loss_sum

    gradient, loss_sum = jax.grad(loss, has_aux=True)(state.params)
    gradient, weight, metrics = jax.lax.psum((gradient, loss_sum.weight, loss_sum.metrics), AXIS)
    # Of a batch without any example that counts, all sums are 0.
    gradient = jax.tree.map(lambda g: g / jnp.maximum(weight, 1), gradient)
    updates, opt_state = optimizer.update(gradient, state.opt_state, state.params)
    params = optax.apply_updates(state.params, updates)
    averaged = state.averaged_params
    if averaged is not None:
      averaged = jax.tree.map(lambda a, w: averaging * a + (1 - averaging) * w, averaged, params)
    new_state = dataclasses.replace(
      state,
      step=state.step + 1,
      params=params,
      collections=loss_sum.collections,
      opt_state=opt_state,
      averaged_params=averaged,
    )
    means = {name: total / jnp.maximum(count, 1) for name, (total, count) in metrics.items()}
    return new_state, means

  return step


def examples_of(state: TrainState, data: Data, indices: Array) -> tuple[Array, Array, Array]:
  """The examples of one device in a step.

  Args:
    state: before the step.
    data: the resident data set.
    indices: [B], -1 for padding.

  Returns:
    Their rows in the data [B], their weights [B], 1 or 0, and one key each [B].
  """
  rows = jnp.maximum(indices, 0)
  mask = (indices >= 0).astype(jnp.float32)
  if "included" in data:
    mask *= data["included"][rows]
  step_key = jax.random.fold_in(as_threefry(state.seed), state.step)
  return rows, mask, jax.vmap(jax.random.fold_in, in_axes=(None, 0))(step_key, rows)


def steps_per_call_by_default() -> int:
  """How many steps this machine takes in one call: `STEPS_PER_CALL`, on CPU one.

  A step with stock convolutions is many times slower inside a loop on CPU.
  """
  return 1 if jax.default_backend() == "cpu" else STEPS_PER_CALL


def map_over_devices(
  step: Step, devices: Sequence[jax.Device] | None = None, *, steps_per_call: int = 1
) -> Step:
  """The step on all devices at once: state in and out whole, indices [devices, B / devices].

  Args:
    step: any `(state, data, indices) -> (state, metrics)` that reduces over the axis "batch"
      whatever it returns.
    devices: the devices to use; None for all of them, over all processes.
    steps_per_call: more than 1 for a call that takes several steps, one after the other: indices
      [devices, n, B / devices] of any n, and metrics with n numbers each. Equal to single steps up
      to the rounding of sums, since XLA compiles a loop's body otherwise.

  Returns:
    The compiled step. The state that it is given is consumed. On CPU a call waits until all calls
    but the one before it are done, so that a loop over it never has more than `STEPS_IN_FLIGHT`
    unfinished.

  >>> def add(state, data, indices):
  ...   return state + jax.lax.psum(data["x"][indices].sum(), AXIS), {}
  >>> mapped = map_over_devices(add, jax.local_devices()[:1])
  >>> state, metrics = mapped(jnp.zeros(()), {"x": jnp.arange(4.0)}, np.array([[1, 3]]))
  >>> float(state)
  4.0
  """
  mapped = jax.pmap(
    step if steps_per_call == 1 else _one_after_the_other(step),
    axis_name=AXIS,
    in_axes=(None, None, 0),
    out_axes=(None, None),
    donate_argnums=0,
    devices=devices,
  )
  platform = (devices or jax.local_devices())[0].platform
  return _few_in_flight(mapped) if platform == "cpu" else mapped


def _one_after_the_other(step: Step) -> Step:
  def steps(state: Any, data: Data, indices: Array) -> tuple[Any, dict[str, Array]]:
    return jax.lax.scan(lambda state, of_step: step(state, data, of_step), state, indices)

  return steps


def _few_in_flight(mapped: Step) -> Step:
  unfinished: collections.deque[dict[str, Array]] = collections.deque()

  @functools.wraps(mapped)
  def step(state: Any, data: Data, indices: Array) -> tuple[Any, dict[str, Array]]:
    while len(unfinished) >= STEPS_IN_FLIGHT:
      jax.block_until_ready(unfinished.popleft())
    state, metrics = mapped(state, data, indices)
    if not all(map(checks.is_concrete, jax.tree.leaves((state, metrics)))):
      return state, metrics  # only traced
    if jax.tree.leaves(metrics):
      unfinished.append(metrics)
    else:
      # The next step consumes the state, so that there would be nothing left to wait for.
      jax.block_until_ready(state)
    return state, metrics

  step.lower = mapped.lower  # type: ignore[attr-defined]
  return step


def replicate(tree: Any, devices: Sequence[jax.Device] | None = None) -> Any:
  """Copies arrays to every local device once, so that no later call has to send them again.

  Args:
    tree: any pytree of arrays; the caller's stay as they are.
    devices: where to; None for all local ones.

  Returns:
    The same pytree, each array whole on every device, for a step of `map_over_devices`.

  >>> copies = replicate({"x": np.arange(3)})
  >>> copies["x"].tolist(), copies["x"].sharding.is_fully_replicated
  ([0, 1, 2], True)
  """
  mesh = Mesh(np.asarray(devices or jax.local_devices()), ("device",))
  # By way of the host: the step consumes its state, and must not take the caller's arrays with it.
  copies = jax.tree.map(np.array, tree)
  return jax.device_put(copies, NamedSharding(mesh, PartitionSpec()))


# An example's key is folded with small numbers by the objective.
_AUGMENTATION = 2**20

# XLA's CPU client runs devices and queued steps on one pool of threads, and stops for good when
# queued steps hold the thread that a collective waits for.
STEPS_IN_FLIGHT = 2
