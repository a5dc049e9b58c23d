"""A trained VAE-GAN as a manifold of images: projections to it, its tangents, samples of it."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.core.keys import as_threefry
from robust_saliency.core.lapack import one_matrix_at_a_time
from robust_saliency.core.programs import over_examples
from robust_saliency.models.vae_gan import VAEGAN
from robust_saliency.training import TrainedNetwork
from robust_saliency.training.vae_gan import sampled

# Tangents are float32 [k, D] for each image of a call.
TANGENTS_PER_CALL = 50


class Autoencoder:
  """A VAE-GAN in evaluation mode.

  Args:
    network: the trained VAE-GAN.
    batch_size: images per call.
  """

  def __init__(self, network: TrainedNetwork, *, batch_size: int):
    assert isinstance(network.module, VAEGAN)
    self._module, self._variables = network.module, network.variables
    self._project = self._mapped(self._projected, batch_size)
    self._tangents = self._mapped(self._tangent_bases, TANGENTS_PER_CALL)
    self._decode = self._mapped(self._decoded, batch_size)

  def project(self, x: np.ndarray, key: Array) -> tuple[np.ndarray, np.ndarray]:
    """What a sampled code of each image decodes to, and what the mean of its codes does.

    Args:
      x: images [N, H, W, C] in [-1, 1].
      key: of the samples; that of image i is fold_in(key, i).
    """
    return self._project((self._variables, key), x)

  def tangents(self, x: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the manifold's tangent space at each image's projection.

    Returns:
      Float32 [N, latent, D], by the derivatives of the decoder at the mean code.
    """
    return self._tangents((self._variables, jax.random.key(0)), x)

  def samples(self, count: int, key: Array) -> np.ndarray:
    """What codes that are drawn from the prior decode to, [count, H, W, C]."""
    codes = jax.random.normal(as_threefry(key), (count, self._module.latent))
    return self._decode((self._variables, key), np.asarray(codes))

  def _mapped(self, function: Callable, batch_size: int) -> Callable:
    return over_examples(
      lambda shared, numbers, inputs: function(*shared, numbers, inputs), batch_size=batch_size
    )

  def _projected(
    self, variables: dict, key: Array, numbers: Array, x: Array
  ) -> tuple[Array, Array]:
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(as_threefry(key), numbers)
    mean, log_variance = self._encoder(variables)(x)
    noise = jax.vmap(lambda one: jax.random.normal(one, mean.shape[1:]))(keys)
    codes = sampled(mean, log_variance, noise)
    return self._decoder(variables)(codes), self._decoder(variables)(mean)

  def _tangent_bases(self, variables: dict, key: Array, numbers: Array, x: Array) -> Array:
    del key, numbers
    mean, _ = self._encoder(variables)(x)

    def along(direction: Array) -> Array:
      directions = jnp.broadcast_to(direction, mean.shape)
      return jax.jvp(self._decoder(variables), (mean,), (directions,))[1].reshape(len(x), -1)

    columns = jax.vmap(along, out_axes=-1)(jnp.eye(mean.shape[1], dtype=mean.dtype))
    return jax.vmap(_orthonormal)(columns).swapaxes(1, 2)

  def _decoded(self, variables: dict, key: Array, numbers: Array, codes: Array) -> Array:
    del key, numbers
    return self._decoder(variables)(codes)

  def _encoder(self, variables: dict) -> Callable[[Array], tuple[Array, Array]]:
    encode: Any = functools.partial(self._module.apply, variables, method="encode")
    return encode

  def _decoder(self, variables: dict) -> Callable[[Array], Array]:
    decode: Any = functools.partial(self._module.apply, variables, method="decode")
    return decode


@one_matrix_at_a_time
def _orthonormal(columns: Array) -> Array:
  return jnp.linalg.qr(columns)[0]
