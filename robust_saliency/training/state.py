"""Everything that one training step hands to the next."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax import Array


@flax.struct.dataclass
class TrainState:
  """A network in training. The same on every device.

  Attributes:
    step: number of steps taken, int32.
    seed: raw key data of the run's root key; with the step it fixes all randomness.
    params: the network's parameters.
    collections: its variables other than the parameters, by collection: {"batch_stats": the
      averages of its batch norms, and whatever else its modules update in training}.
    opt_state: the optimiser's state.
    averaged_params: the parameters' exponential moving average; None where none is kept.
  """

  step: Array
  seed: Array
  params: Any
  collections: Any
  opt_state: Any
  averaged_params: Any = None

  @property
  def evaluation_variables(self) -> dict[str, Any]:
    """What the network is used with: the averaged parameters where there are some."""
    if self.averaged_params is None:
      return self.variables
    return {**self.variables, "params": self.averaged_params}

  @property
  def variables(self) -> dict[str, Any]:
    """What the network is trained with."""
    return {"params": self.params, **self.collections}


def create_state(
  variables: dict[str, Any],
  optimizer: optax.GradientTransformation,
  *,
  seed: int,
  averaged: bool = False,
) -> TrainState:
  """The state before the first step.

  Args:
    variables: the network's, {"params": ..., any other collections}, as Flax's `init` gives them.
    optimizer: any optax optimiser, the one that `make_step` is given.
    seed: fixes, with a step's number, all of its randomness.
    averaged: whether an average of the parameters is kept, see `make_step`.

  Returns:
    A state on one device; `replicate` copies it to all.

  >>> state = create_state({"params": {"w": jnp.ones(2)}}, optax.sgd(0.1), seed=0, averaged=True)
  >>> int(state.step), state.evaluation_variables["params"]["w"].tolist()
  (0, [1.0, 1.0])
  """
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    seed=jax.random.key_data(jax.random.key(seed)),
    params=variables["params"],
    collections={
      "batch_stats": {},
      **{name: value for name, value in variables.items() if name != "params"},
    },
    opt_state=optimizer.init(variables["params"]),
    averaged_params=variables["params"] if averaged else None,
  )
