import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import models


def of_shapes(**fields):
  module = models.build("resnet", **fields)
  return jax.eval_shape(lambda key: models.init(module, key, (32, 32, 3)), jax.random.key(0))


@pytest.mark.parametrize(
  ("fields", "count"),
  [
    # As public PyTorch code for CIFAR-10 counts them.
    ({}, 11_173_962),
    ({"blocks": (3, 4, 6, 3)}, 21_282_122),
    ({"preactivation": True, "final_norm": False}, 11_171_146),
    ({"preactivation": True}, 11_171_146 + 2 * 512),
  ],
)
def test_parameters_are_as_many_as_published(fields, count):
  params = of_shapes(**fields)["params"]
  assert sum(leaf.size for leaf in jax.tree.leaves(params)) == count


def test_what_no_such_network_has_is_refused():
  with pytest.raises(ValueError, match=r"blocks must be 4 numbers, one a group, got \(2, 2\)"):
    of_shapes(blocks=(2, 2))
  with pytest.raises(ValueError, match=r"blocks\[1\] must be >= 1, got 0"):
    of_shapes(blocks=(1, 0, 1, 1))
  with pytest.raises(ValueError, match="width must be >= 1, got 0"):
    of_shapes(width=0)
  with pytest.raises((ValueError, TypeError), match="preactivation must be True or False"):
    of_shapes(preactivation="yes")


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("preactivation", [False, True])
def test_blocks_whose_second_convolution_is_zero_hand_on_their_shortcut(preactivation):
  """Of one feature map and positive input the first group is then the identity."""
  module = models.build("resnet", blocks=(2, 1, 1, 1), width=2, preactivation=preactivation)
  x = jax.random.uniform(jax.random.key(1), (3, 8, 8, 3))
  variables = models.init(module, jax.random.key(0), (8, 8, 3))
  found = []
  for size in (0.0, 5.0):  # of the first convolution of the group's blocks, which is of no account
    params = jax.tree.map(jnp.asarray, variables["params"])
    for block in range(2):
      of_block = params[f"group_0_block_{block}"]
      of_block["Conv_0"]["kernel"] = jnp.full_like(of_block["Conv_0"]["kernel"], size)
      of_block["Conv_1"]["kernel"] = jnp.zeros_like(of_block["Conv_1"]["kernel"])
    found.append(module.apply({**variables, "params": params}, x))
  np.testing.assert_array_equal(*found)
  assert np.ptp(np.asarray(found[0]), axis=0).min() > 0
