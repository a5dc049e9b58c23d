"""How a network is compared with its twin in PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import models


def trained_looking(variables):
  """Variables in float64 in which no bias, scale or statistic is at its initial value."""
  leaves, structure = jax.tree.flatten(variables)
  keys = jax.random.split(jax.random.key(1), len(leaves))
  moved = [
    leaf.astype(jnp.float64)
    + (0.1 * jax.random.uniform(key, leaf.shape, jnp.float64) if leaf.ndim == 1 else 0)
    for key, leaf in zip(keys, leaves, strict=True)
  ]
  return jax.tree.unflatten(structure, moved)


def assert_close(ours, theirs):
  np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * np.abs(theirs).max())


@pytest.fixture
def compare_with_twin():
  """Holds a module to `twin(torch, variables, train, keys)`, a function x [B, H, W, C] -> logits.

  The twin is given the module's weights as torch tensors, and updates the tensors of the running
  statistics in place. Logits, input gradient and statistics must agree to 1e-5. `bessel` has, for
  the path of each batch norm, how many numbers one of its variances is taken over.
  """
  torch = pytest.importorskip("torch", reason="the twins are written in PyTorch")

  def compare(module, twin, image_shape, *, train, bounds=(0, 1), batch=4, bessel=None):
    low, high = bounds
    with jax.enable_x64(True):
      variables = trained_looking(models.init(module, jax.random.key(0), image_shape))
      keys = jax.random.split(jax.random.key(2), batch)
      x = jax.random.uniform(
        jax.random.key(3), (batch, *image_shape), jnp.float64, minval=low, maxval=high
      )
      x = x.at[:, : image_shape[0] // 3].set(low)  # a flat background: pooling meets ties
      cotangent = jax.random.normal(jax.random.key(4), (batch, 10), jnp.float64)
      apply_fn = models.apply_fn(module)

      def loss(x):
        logits, collections = apply_fn(variables, x, train=train, dropout_keys=keys)
        return jnp.vdot(cotangent, logits), (logits, collections["batch_stats"])

      gradient, (logits, statistics) = jax.jit(jax.grad(loss, has_aux=True))(x)
      copied = jax.tree.map(lambda leaf: torch.tensor(np.asarray(leaf)), variables)
      x_torch = torch.tensor(np.asarray(x), requires_grad=True)
      logits_torch = twin(torch, copied, train, keys)(x_torch)
      (logits_torch * torch.tensor(np.asarray(cotangent))).sum().backward()

    assert_close(logits, logits_torch.detach().numpy())
    assert_close(gradient, x_torch.grad.numpy())
    if train:
      changed = jax.tree.map(
        lambda a, b: bool((a != b).any()), statistics, variables["batch_stats"]
      )
      assert all(jax.tree.leaves(changed))
    for path, theirs in jax.tree_util.tree_leaves_with_path(copied["batch_stats"]):
      names = [entry.key for entry in path]
      ours, before, theirs = statistics, variables["batch_stats"], theirs.numpy()
      for name in names:
        ours, before = ours[name], before[name]
      if train and names[-1] == "var":
        # PyTorch stores the variance with Bessel's correction; TensorFlow, Flax and we without.
        n, kept = bessel["/".join(names[:-1])]
        theirs = (theirs - kept * np.asarray(before)) * (n - 1) / n + kept * np.asarray(before)
      assert_close(ours, theirs)

  return compare


@pytest.fixture
def dropout_mask():
  """What `models.Dropout` multiplies units of a shape by, for twins, as a torch tensor."""
  torch = pytest.importorskip("torch", reason="the twins are written in PyTorch")

  def mask(shape, rate, *, train, keys, layer=0):
    ones = jnp.ones((len(keys), *shape))
    dropped = models.Dropout(rate, layer).apply({}, ones, train=train, keys=keys)
    return torch.tensor(np.asarray(dropped))

  return mask
