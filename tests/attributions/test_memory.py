from functools import partial

import jax
import jax.numpy as jnp
import pytest

from robust_saliency import models
from robust_saliency.attributions import gradient, integrated_gradients, smoothgrad

SHAPE, CHUNK = (32, 32, 3), 16
METHODS = {
  "gradient": gradient,
  "smoothgrad": partial(smoothgrad, samples=50),
  "smoothgrad of integrated gradients": partial(
    smoothgrad, samples=5, attribution=partial(integrated_gradients, steps=20)
  ),
  "integrated_gradients": partial(integrated_gradients, steps=50),
}


def temporary_bytes(attribution, batch):
  """What XLA sets aside for a compiled attribution, its input and output apart."""
  module = models.build("digits")
  variables = jax.eval_shape(lambda: models.init(module, jax.random.key(0), SHAPE))

  def explain(variables, key, x, y):
    return attribution(key, models.logits_fn(module, variables), x, y)

  key = jax.eval_shape(lambda: jax.random.key(0))
  x = jax.ShapeDtypeStruct((batch, *SHAPE), jnp.float32)
  y = jax.ShapeDtypeStruct((batch,), jnp.int32)
  compiled = jax.jit(explain).lower(variables, key, x, y).compile()
  return compiled.memory_analysis().temp_size_in_bytes


@pytest.fixture(scope="module")
def plain():
  return temporary_bytes(gradient, CHUNK)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_chunks_bound_the_memory_whatever_the_number_of_images_and_samples(name, plain):
  images = 1000
  used = temporary_bytes(partial(METHODS[name], chunk_size=CHUNK), images)
  image_bytes = 4 * SHAPE[0] * SHAPE[1] * SHAPE[2]
  assert used < 1.5 * plain + 2 * images * image_bytes


def test_without_chunks_memory_grows_with_the_images(plain):
  assert temporary_bytes(gradient, 8 * CHUNK) > 4 * plain
