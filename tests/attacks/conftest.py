import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from robust_saliency import models
from robust_saliency.attacks import cross_entropy


@pytest.fixture(scope="session")
def linear():
  """A linear model of 3x2x1 images: weights [6, K], and the images it is attacked on.

  The images stand further than 0.1 from the bounds, so that the ball alone limits attacks.
  """

  def build(classes, batch=5):
    keys = jax.random.split(jax.random.key(classes), 3)
    weights = jax.random.normal(keys[0], (6, classes))
    x = jax.random.uniform(keys[1], (batch, 3, 2, 1), minval=0.3, maxval=0.7)
    y = jax.random.randint(keys[2], (batch,), 0, classes)
    return weights, lambda images: images.reshape(len(images), -1) @ weights, x, y

  return build


@pytest.fixture(scope="session")
def network():
  """A smooth network of 4x4x1 images with 5 classes: (logits_fn, x [16], y [16])."""
  keys = jax.random.split(jax.random.key(7), 4)
  inner = jax.random.normal(keys[0], (16, 24)) / 2
  outer = jax.random.normal(keys[1], (24, 5))
  x = jax.random.uniform(keys[2], (16, 4, 4, 1))

  def logits_fn(images):
    return jnp.tanh(images.reshape(len(images), -1) @ inner) @ outer

  # What the network says itself, so that at first every image is classified correctly.
  return logits_fn, x, jnp.argmax(logits_fn(x), axis=-1)


@pytest.fixture(scope="session")
def lengths():
  """(perturbations, name of a norm) -> length of each perturbation, in float64."""
  orders = {"linf": np.inf, "l2": 2, "l1": 1}

  def measure(perturbations, norm):
    flat = np.asarray(perturbations, np.float64).reshape(len(perturbations), -1)
    return np.linalg.norm(flat, orders[norm], axis=1)

  return measure


@pytest.fixture(scope="session")
def trained_digits():
  """(variables, logits_fn, x [60], y [60]): a network trained on digits, and others it gets right.

  For comparisons with peers: training takes seconds.
  """
  from sklearn.datasets import load_digits  # takes a second

  images, labels = load_digits(return_X_y=True)
  images = jnp.asarray(images.reshape(-1, 8, 8, 1) / 16, jnp.float32)
  labels = jnp.asarray(labels)
  module = models.build("digits")
  variables = models.init(module, jax.random.key(1), (8, 8, 1))
  optimizer = optax.adam(3e-3)

  @jax.jit
  def train(variables, state, rows):
    def loss(variables):
      return cross_entropy(models.logits_fn(module, variables)(images[rows]), labels[rows]).mean()

    updates, state = optimizer.update(jax.grad(loss)(variables), state)
    return optax.apply_updates(variables, updates), state

  state = optimizer.init(variables)
  for rows in np.random.default_rng(0).integers(200, len(images), (120, 64)):
    variables, state = train(variables, state, rows)
  logits_fn = jax.jit(models.logits_fn(module, variables))
  right = jnp.argmax(logits_fn(images[:200]), axis=1) == labels[:200]
  assert right.mean() > 0.9
  return variables, logits_fn, images[:200][right][:60], labels[:200][right][:60]
