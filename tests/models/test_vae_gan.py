"""The VAE-GAN's layers against those that the authors' code has."""

import jax
import jax.numpy as jnp
import pytest

from robust_saliency import models
from robust_saliency.models.vae_gan import VAEGAN

# Side -> part -> shapes of the kernels, in their order.
KERNELS = {
  28: {
    "encoder": [(4, 4, 1, 64), (4, 4, 64, 128), (4, 4, 128, 256), (4096, 20)],
    "decoder": [(10, 1024), (4, 4, 256, 256), (4, 4, 256, 128), (4, 4, 128, 32), (4, 4, 32, 1)],
    "discriminator": [
      (4, 4, 1, 32), (4, 4, 32, 128), (4, 4, 128, 256), (4, 4, 256, 256), (1024, 512), (512, 1),
    ],
  },
  32: {
    "encoder": [(5, 5, 3, 64), (5, 5, 64, 128), (5, 5, 128, 256), (4096, 256)],
    "decoder": [(128, 8192), (4, 4, 512, 256), (4, 4, 256, 128), (4, 4, 128, 64), (3, 3, 64, 3)],
    "discriminator": [
      (3, 3, 3, 64), (4, 4, 64, 64), (3, 3, 64, 128), (4, 4, 128, 128), (3, 3, 128, 256),
      (4, 4, 256, 256), (3, 3, 256, 512), (8192, 1),
    ],
  },
}  # fmt: skip
# Side -> part -> how many batch norms.
NORMS = {
  28: {"encoder": 4, "decoder": 4, "discriminator": 4},
  32: {"encoder": 4, "decoder": 3},
}


@pytest.mark.parametrize("side", KERNELS)
def test_layers_are_those_of_the_paper(side):
  latent, channels = (10, 1) if side == 28 else (128, 3)
  module = VAEGAN((side, side, channels), latent)
  variables = jax.eval_shape(lambda: models.init(module, jax.random.key(0), module.image_shape))
  for part, expected in KERNELS[side].items():
    layers = variables["params"][part]
    kernels = [layer["kernel"].shape for layer in layers.values() if "kernel" in layer]
    assert sorted(kernels) == sorted(expected)
    norms = sum("scale" in layer for layer in layers.values())
    assert norms == NORMS[side].get(part, 0)
  assert ("spectral" in variables) == (side == 32)
  image = jnp.zeros((2, side, side, channels))
  assert jax.eval_shape(module.apply, variables, image).shape == image.shape


def test_its_reconstruction_stands_in_the_place_of_logits_and_lies_within_the_bounds():
  module = VAEGAN((8, 8, 1), latent=3, width=0.125)
  variables = models.init(module, jax.random.key(0), (8, 8, 1))
  x = jax.random.uniform(jax.random.key(1), (5, 8, 8, 1), minval=-1.0)
  found = jax.jit(models.logits_fn(module, variables))(x)
  mean, _ = jax.jit(lambda images: module.apply(variables, images, method="encode"))(x)
  again = jax.jit(lambda codes: module.apply(variables, codes, method="decode"))(mean)
  assert abs(found - again).max() < 1e-6
  assert (abs(found) < 1).all()
