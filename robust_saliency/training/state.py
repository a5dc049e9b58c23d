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
    batch_stats: the averages of its batch norms, {} if it has none.
    opt_state: the optimiser's state.
  """

  step: Array
  seed: Array
  params: Any
  batch_stats: Any
  opt_state: Any

  @property
  def variables(self) -> dict[str, Any]:
    """What the network is applied with."""
    return {"params": self.params, "batch_stats": self.batch_stats}


def create_state(
  variables: dict[str, Any], optimizer: optax.GradientTransformation, *, seed: int
) -> TrainState:
  """The state before the first step."""
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    seed=jax.random.key_data(jax.random.key(seed)),
    params=variables["params"],
    batch_stats=variables.get("batch_stats", {}),
    opt_state=optimizer.init(variables["params"]),
  )
