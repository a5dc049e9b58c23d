"""Any Flax module as training takes it, with stock batch norm and dropout."""

import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import flax.linen as nn
import jax
from jax import Array

from robust_saliency.core import ApplyFn

if TYPE_CHECKING:
  from flax import nnx

# What modules call their mode, and its value in training.
MODES = {
  "train": True,
  "training": True,
  "is_training": True,
  "deterministic": False,
  "use_running_average": False,
  "inference": False,
}
# The mapped axis of a training step.
_AXIS = "batch"


def from_flax(module: nn.Module) -> ApplyFn:
  """A Linen module of your own as training takes it; for NNX see `from_nnx`.

  Under the step's mapped axis, `nn.BatchNorm` normalises over all devices. Two things stock layers
  cannot do as ours (`models.BatchNorm`, `models.Dropout`) can: they do not leave out the padding of
  a short last batch, which is therefore to be dropped (`batch_indices(..., drop_short=True)`); and
  a dropout mask belongs to a device's part of the batch, not to an example, so that it changes with
  the number of devices.

  Args:
    module: called as `module(x)`, or with its mode as one of the keywords `train`, `training`,
      `is_training`, `deterministic`, `use_running_average` and `inference`.

  Returns:
    `(variables, x, *, train=False, mask=None, dropout_keys=None) -> (logits, collections)`, as
    `apply_fn` does.

  >>> import jax.numpy as jnp
  >>> class Net(nn.Module):
  ...   @nn.compact
  ...   def __call__(self, x, train):
  ...     x = nn.BatchNorm(use_running_average=not train)(x.reshape(len(x), -1))
  ...     return nn.Dense(10)(nn.Dropout(0.5, deterministic=not train)(x))
  >>> variables = Net().init(jax.random.key(0), jnp.ones((1, 8, 8, 1)), train=False)
  >>> logits, collections = from_flax(Net())(variables, jnp.ones((5, 8, 8, 1)))
  >>> logits.shape, sorted(collections)
  ((5, 10), ['batch_stats'])
  """
  modes = {name: value for name, value in MODES.items() if name in _parameters(module)}

  def apply(
    variables: Mapping[str, Any],
    x: Array,
    *,
    train: bool = False,
    mask: Array | None = None,
    dropout_keys: Array | None = None,
  ) -> tuple[Array, Mapping[str, Any]]:
    del mask
    carried = {name: value for name, value in variables.items() if name != "params"}
    settings: dict[str, Any] = {name: value == train for name, value in modes.items()}
    if not train:
      logits: Any = module.apply(variables, x, **settings)
      return logits, {"batch_stats": {}, **carried}
    rngs = {} if dropout_keys is None else {"dropout": dropout_keys[0]}
    with nn.intercept_methods(_over_devices):
      logits, updates = module.apply(
        variables, x, **settings, rngs=rngs, mutable=["batch_stats", *carried]
      )
    return logits, {"batch_stats": {}, **carried, **updates}

  return apply


def from_nnx(model: "nnx.Module") -> tuple[ApplyFn, dict[str, Any]]:
  """An NNX module of your own as training takes it, and its variables.

  What `from_flax` says of batch norm and dropout holds here, too. Its batch norm has to be told
  the axis over which devices share a batch: `nnx.BatchNorm(..., axis_name="batch")`.

  Args:
    model: called as `model(x)`; not changed. `train()` and `eval()` set its mode.

  Returns:
    The function, see `from_flax`, and {"params": ..., "batch_stats": ..., "rest": ...}.

  >>> import jax.numpy as jnp
  >>> from flax import nnx
  >>> apply, variables = from_nnx(nnx.Linear(4, 10, rngs=nnx.Rngs(0)))
  >>> apply(variables, jnp.ones((5, 4)))[0].shape
  (5, 10)
  """
  from flax import nnx  # of those who have a module of it

  names = ("params", "batch_stats", "rest")
  graph, random, *states = _split(model)

  def apply(
    variables: Mapping[str, Any],
    x: Array,
    *,
    train: bool = False,
    mask: Array | None = None,
    dropout_keys: Array | None = None,
  ) -> tuple[Array, Mapping[str, Any]]:
    del mask
    # A copy, whose random streams go on from where the model's are.
    copy = nnx.merge(graph, random, *(variables[name] for name in names), copy=True)
    if not train:
      copy.eval()
      return copy(x), {name: variables[name] for name in names[1:]}
    copy.train()
    if dropout_keys is not None:
      _reseed(copy, dropout_keys[0])
    logits = copy(x)
    *_, statistics, rest = _split(copy)
    return logits, {"batch_stats": statistics, "rest": rest}

  return apply, dict(zip(names, states, strict=True))


def _split(model: "nnx.Module") -> tuple[Any, ...]:
  """Its graph, random streams, parameters, batch statistics, and the rest."""
  from flax import nnx

  return nnx.split(model, nnx.RngState, nnx.Param, nnx.BatchStat, ...)


def _parameters(module: nn.Module) -> Mapping[str, inspect.Parameter]:
  return inspect.signature(type(module).__call__).parameters


def _over_devices(
  call: Callable[..., Any], args: tuple, kwargs: dict[str, Any], context: Any
) -> Any:
  """Lets `nn.BatchNorm` reduce over the step's devices, where it is told no axis itself."""
  if isinstance(context.module, nn.BatchNorm) and context.module.axis_name is None and _is_mapped():
    # A bound module refuses to be changed; this one is a copy that lives for one call.
    object.__setattr__(context.module, "axis_name", _AXIS)
  return call(*args, **kwargs)


def _is_mapped() -> bool:
  try:
    jax.lax.axis_index(_AXIS)
  except NameError:
    return False
  return True


def _reseed(model: "nnx.Module", key: Array) -> None:
  """Gives each random stream of a module a key of its own, which follows from this one."""
  from flax import nnx

  streams = [value for _, value in nnx.iter_graph(model) if isinstance(value, nnx.RngKey)]
  for number, value in enumerate(streams):
    value[...] = jax.random.fold_in(key, number)
