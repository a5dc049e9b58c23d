"""The VAE-GAN of Kim, Seo & Jeon: what images of a data set look like, as an encoder and a decoder.

Layers are followed by their activation and then by batch norm, whose running averages keep 0.99,
as in the authors' code; weights start Glorot-uniform and biases at zero.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import checks
from robust_saliency.models.batch_norm import BatchNorm
from robust_saliency.models.spectral import SpectralConv
from robust_saliency.models.transposed import TransposedConv

PARTS = ("encoder", "decoder", "discriminator")


class Layer(NamedTuple):
  """A convolution, and whether batch norm follows its activation."""

  features: int
  kernel: int
  stride: int
  normalised: bool = True
  padding: str = "SAME"


class Design(NamedTuple):
  """The layers of a VAE-GAN for images of one size.

  Attributes:
    encoder: convolutions.
    start: side and features of the images that a code becomes by a dense layer.
    start_activated: whether ReLU and batch norm follow that layer.
    decoder: transposed convolutions.
    last: kernel and stride of one more, to the pixels.
    discriminator: convolutions.
    hidden: units of a dense layer after them; 0 for none.
    spectral: whether the discriminator's convolutions are held to a largest singular value of 1.
    slope: of its activations where their input is negative.
  """

  encoder: tuple[Layer, ...]
  start: tuple[int, int]
  start_activated: bool
  decoder: tuple[Layer, ...]
  last: tuple[int, int]
  discriminator: tuple[Layer, ...]
  hidden: int
  spectral: bool = False
  slope: float = 0.0


# Side of the images -> layers. Those of 8 x 8 images are ours, for scikit-learn's digits.
DESIGNS = {
  8: Design(
    encoder=(Layer(32, 4, 2), Layer(64, 4, 2)),
    start=(2, 64),
    start_activated=True,
    decoder=(Layer(32, 4, 2),),
    last=(4, 2),
    discriminator=(Layer(32, 4, 2, normalised=False), Layer(64, 4, 2)),
    hidden=64,
  ),
  28: Design(
    encoder=(Layer(64, 4, 2), Layer(128, 4, 2), Layer(256, 4, 2)),
    start=(2, 256),
    start_activated=True,
    decoder=(Layer(256, 4, 2), Layer(128, 4, 1, padding="VALID"), Layer(32, 4, 2)),
    last=(4, 2),
    discriminator=(
      Layer(32, 4, 2, normalised=False), Layer(128, 4, 2), Layer(256, 4, 2), Layer(256, 4, 2),
    ),
    hidden=512,
  ),
  32: Design(
    encoder=(Layer(64, 5, 2), Layer(128, 5, 2), Layer(256, 5, 2)),
    start=(4, 512),
    start_activated=False,
    decoder=(Layer(256, 4, 2), Layer(128, 4, 2), Layer(64, 4, 2)),
    last=(3, 1),
    discriminator=tuple(
      Layer(features, kernel, stride, normalised=False)
      for features, kernel, stride in (
        (64, 3, 1), (64, 4, 2), (128, 3, 1), (128, 4, 2), (256, 3, 1), (256, 4, 2), (512, 3, 1),
      )
    ),
    hidden=0,
    spectral=True,
    slope=0.1,
  ),
}  # fmt: skip

_GLOROT = nn.initializers.glorot_uniform()


class VAEGAN(nn.Module):
  """An autoencoder of images whose output a third network cannot tell from images.

  Called like a classifier it gives an image's reconstruction in the place of logits. Its parameters
  and batch statistics are those of "encoder", "decoder" and "discriminator".

  Attributes:
    image_shape: (height, width, channels) of images with pixels in [-1, 1]; 8, 28 or 32 high and
      wide.
    latent: numbers in a code.
    width: how many times as many features each layer has, 0.25 say.
    axis_name: the `jax.pmap` axis over which batch norm's statistics are synchronised.

  Raises:
    ValueError: for images of another size.

  Source: Kim, Seo & Jeon 2019, section 2.1 (their code); after Larsen et al. 2016, "Autoencoding
  beyond pixels using a learned similarity metric".

  >>> import jax
  >>> module = VAEGAN((28, 28, 1), latent=10)
  >>> shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 28, 28, 1)))
  >>> {name: sum(p.size for p in jax.tree.leaves(of)) for name, of in shapes["params"].items()}
  {'decoder': 1653473, 'discriminator': 2167201, 'encoder': 739708}
  """

  image_shape: tuple[int, int, int]
  latent: int = 10
  width: float = 1.0
  axis_name: str | None = None

  def setup(self) -> None:
    """Makes the three networks."""
    height, width, channels = self.image_shape
    if height != width or height not in DESIGNS:
      raise ValueError(
        "a VAE-GAN needs square images whose side is one of "
        f"{checks.listed(map(str, DESIGNS))}, got {height} x {width}"
      )
    shared: dict[str, Any] = {
      "design": DESIGNS[height],
      "width": self.width,
      "axis_name": self.axis_name,
    }
    self.encoder = _Encoder(latent=self.latent, **shared)
    self.decoder = _Decoder(channels=channels, **shared)
    self.discriminator = _Discriminator(**shared)

  def encode(
    self, x: Array, *, train: bool = False, mask: Array | None = None
  ) -> tuple[Array, Array]:
    """Images [B, H, W, C] -> mean and log-variance of their codes, each [B, latent]."""
    mean, log_variance = jnp.split(self.encoder(x, train, mask), 2, axis=-1)
    return mean, log_variance

  def decode(self, codes: Array, *, train: bool = False, mask: Array | None = None) -> Array:
    """Codes [B, latent] -> images [B, H, W, C] in [-1, 1]."""
    return self.decoder(codes, train, mask)

  def discriminate(self, x: Array, *, train: bool = False, mask: Array | None = None) -> Array:
    """Images [B, H, W, C] -> the log-odds that they are images of the data set [B]."""
    return self.discriminator(x, train, mask)

  def __call__(
    self,
    x: Array,
    train: bool = False,
    mask: Array | None = None,
    dropout_keys: Array | None = None,
  ) -> Array:
    """Images [B, H, W, C] -> what the means of their codes decode to."""
    del dropout_keys
    mean, _ = self.encode(x, train=train, mask=mask)
    reconstruction = self.decode(mean, train=train, mask=mask)
    if self.is_initializing():
      self.discriminate(reconstruction, train=train, mask=mask)
    return reconstruction


class _Part(nn.Module):
  """What the three networks share."""

  design: Design
  width: float
  axis_name: str | None

  def features(self, full: int) -> int:
    return max(round(self.width * full), 1)

  def norm(self) -> BatchNorm:
    return BatchNorm(self.axis_name, momentum=0.99, epsilon=1e-3, use_scale=True)


class _Encoder(_Part):
  latent: int

  @nn.compact
  def __call__(self, x: Array, train: bool, mask: Array | None) -> Array:
    for features, kernel, stride, normalised, padding in self.design.encoder:
      x = nn.Conv(
        self.features(features), (kernel, kernel), (stride, stride), padding, kernel_init=_GLOROT
      )(x)
      x = nn.relu(x)
      x = self.norm()(x, train=train, mask=mask) if normalised else x
    codes = nn.Dense(2 * self.latent, kernel_init=_GLOROT)(x.reshape(len(x), -1))
    return self.norm()(codes, train=train, mask=mask)


class _Decoder(_Part):
  channels: int

  @nn.compact
  def __call__(self, codes: Array, train: bool, mask: Array | None) -> Array:
    side, features = self.design.start
    features = self.features(features)
    x = nn.Dense(side * side * features, kernel_init=_GLOROT)(codes)
    if self.design.start_activated:
      x = self.norm()(nn.relu(x), train=train, mask=mask)
    x = x.reshape(-1, side, side, features)
    for full, kernel, stride, normalised, padding in self.design.decoder:
      x = nn.relu(TransposedConv(self.features(full), kernel, stride, padding)(x))
      x = self.norm()(x, train=train, mask=mask) if normalised else x
    kernel, stride = self.design.last
    return jnp.tanh(TransposedConv(self.channels, kernel, stride)(x))


class _Discriminator(_Part):
  @nn.compact
  def __call__(self, x: Array, train: bool, mask: Array | None) -> Array:
    for full, kernel, stride, normalised, padding in self.design.discriminator:
      features = self.features(full)
      if self.design.spectral:
        x = SpectralConv(features, kernel, stride)(x, train=train)
      else:
        x = nn.Conv(features, (kernel, kernel), (stride, stride), padding, kernel_init=_GLOROT)(x)
      x = nn.leaky_relu(x, self.design.slope)
      x = self.norm()(x, train=train, mask=mask) if normalised else x
    x = x.reshape(len(x), -1)
    if self.design.hidden:
      x = nn.relu(nn.Dense(self.features(self.design.hidden), kernel_init=_GLOROT)(x))
      x = self.norm()(x, train=train, mask=mask)
    return nn.Dense(1, kernel_init=_GLOROT)(x)[:, 0]
