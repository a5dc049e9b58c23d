"""Our Square Attack beside torchattacks', on one trained network with the same weights."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.datasets import load_digits

from robust_saliency import models
from robust_saliency.attacks import square

torch = pytest.importorskip("torch", reason="compares with torchattacks")
torchattacks = pytest.importorskip("torchattacks", reason="compares with torchattacks")
twins = pytest.importorskip(
  "benchmarks.torch_twin", reason="needs the repository's root on the path"
)

pytestmark = pytest.mark.peers

SEEDS = (0, 1)


@pytest.fixture(autouse=True)
def one_torch_thread():
  """Several are much slower than one where the cores are busy."""
  threads = torch.get_num_threads()
  torch.set_num_threads(1)
  yield
  torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def trained():
  """(logits_fn, its PyTorch twin, x, y): a trained network and 100 digits it gets right."""
  images, labels = load_digits(return_X_y=True)
  images, labels = jnp.asarray(images.reshape(-1, 8, 8, 1) / 16, jnp.float32), jnp.asarray(labels)
  module = models.build("digits")
  apply_fn = models.apply_fn(module)
  variables = models.init(module, jax.random.key(1), (8, 8, 1))
  optimizer = optax.adam(2e-3)

  def loss(params, rows):
    logits, _ = apply_fn({**variables, "params": params}, images[rows], train=False)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels[rows]).mean()

  @jax.jit
  def step(params, state, rows):
    updates, state = optimizer.update(jax.grad(loss)(params, rows), state)
    return optax.apply_updates(params, updates), state

  params = variables["params"]
  state = optimizer.init(params)
  for i in range(150):
    params, state = step(params, state, jnp.arange(100 * i, 100 * i + 100) % 1400)
  variables = {**variables, "params": params}
  logits_fn = jax.jit(models.logits_fn(module, variables))
  right = np.flatnonzero(jnp.argmax(logits_fn(images[1400:]), axis=1) == labels[1400:])[:100]
  assert len(right) == 100
  return logits_fn, twins.Twin(variables), images[1400:][right], labels[1400:][right]


@pytest.mark.parametrize(
  ("norm", "epsilon", "queries"),
  [("linf", 0.1, 500), ("linf", 0.15, 100), ("l2", 0.6, 500)],
)
def test_square_breaks_as_many_images_as_torchattacks(trained, norm, epsilon, queries):
  logits_fn, twin, x, y = trained
  torch_labels = torch.tensor(np.asarray(y), dtype=torch.long)
  theirs = []
  for seed in SEEDS:
    peer = torchattacks.Square(
      twin, norm={"linf": "Linf", "l2": "L2"}[norm], eps=epsilon, n_queries=queries, seed=seed
    )
    # The paper's squares may lie anywhere; torchattacks' never touch the last row and column.
    draw = peer.random_int
    peer.random_int = lambda low, high, shape=(1,), draw=draw: draw(low, high + 1, shape)
    x_adv = twins.images_from_torch(peer(twins.images_for_torch(x), torch_labels))
    theirs.append(int(jnp.sum(jnp.argmax(logits_fn(jnp.asarray(x_adv)), axis=1) != y)))
  attack = jax.jit(
    lambda key: square(key, logits_fn, x, y, epsilon=epsilon, norm=norm, queries=queries)
  )
  ours = [
    int(jnp.sum(jnp.argmax(logits_fn(attack(jax.random.key(seed))), axis=1) != y)) for seed in SEEDS
  ]
  # Neither nothing nor everything is broken, or the comparison would say nothing.
  assert min(theirs) >= 10
  assert max(theirs) <= 90
  assert min(theirs) - 2 <= np.mean(ours) <= max(theirs) + 2
