"""The three gradients of a VAE-GAN's step against PyTorch's, on copied weights, in float64.

The twins are written from the layers that the authors' code has, not from ours.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import models
from robust_saliency.models.vae_gan import VAEGAN
from robust_saliency.training import vae_gan

pytestmark = pytest.mark.peers
WIDTH, LATENT, BATCH, WEIGHT = 1 / 16, 3, 6, 0.3


class Twin:
  """The networks in PyTorch, in training mode; `w` are their weights by network and layer."""

  def __init__(self, torch, size, variables):
    self.f, self.torch, self.size = torch.nn.functional, torch, size
    self.w, self.directions = variables["params"], variables.get("spectral", {})

  def norm(self, x, layer):
    mean = x.mean(dim=[0, *range(2, x.ndim)], keepdim=True)
    var = ((x - mean) ** 2).mean(dim=[0, *range(2, x.ndim)], keepdim=True)
    shape = (1, -1) + (1,) * (x.ndim - 2)
    return (x - mean) / (var + 1e-3).sqrt() * layer["scale"].reshape(shape) + layer["bias"].reshape(
      shape
    )

  def conv(self, x, layer, stride, direction=None):
    kernel = layer["kernel"].permute(3, 2, 0, 1)
    side = kernel.shape[-1]
    total = max((-(-x.shape[-1] // stride) - 1) * stride + side - x.shape[-1], 0)
    low, high = total // 2, total - total // 2

    def convolve(image):
      return self.f.conv2d(self.f.pad(image, (low, high, low, high)), kernel, stride=stride)

    if direction is None:
      return convolve(x) + layer["bias"].reshape(1, -1, 1, 1)
    with self.torch.no_grad():
      u = direction["direction"].permute(0, 3, 1, 2)
      v = convolve(u)
      v = v / v.norm()
      back = self.f.conv_transpose2d(v, kernel, stride=stride)
      back = self.f.pad(back, (0, low + high + u.shape[-1] - back.shape[-1]) * 2)
      u = back[:, :, low : low + u.shape[-2], low : low + u.shape[-1]]
      u = u / u.norm()
      direction["direction"] = u.permute(0, 2, 3, 1)
    sigma = (v * convolve(u)).sum()
    return convolve(x) / self.torch.clamp(sigma, min=1.0) + layer["bias"].reshape(1, -1, 1, 1)

  def up(self, x, layer, stride, padding):
    kernel = layer["kernel"].permute(2, 3, 0, 1)
    return self.f.conv_transpose2d(x, kernel, layer["bias"], stride=stride, padding=padding)

  def dense(self, x, layer):
    return x @ layer["kernel"] + layer["bias"]

  def encode(self, x):
    w, x = self.w["encoder"], x.permute(0, 3, 1, 2)
    for i in range(3):
      x = self.norm(self.f.relu(self.conv(x, w[f"Conv_{i}"], 2)), w[f"BatchNorm_{i}"])
    codes = self.dense(x.permute(0, 2, 3, 1).flatten(1), w["Dense_0"])
    codes = self.norm(codes, w["BatchNorm_3"])
    return codes[:, :LATENT], codes[:, LATENT:]

  def decode(self, codes):
    w = self.w["decoder"]
    x, side = self.dense(codes, w["Dense_0"]), 4
    if self.size == 28:
      x, side = self.norm(self.f.relu(x), w["BatchNorm_0"]), 2
    x = x.reshape(len(x), side, side, -1).permute(0, 3, 1, 2)
    if self.size == 28:
      for i, (stride, padding) in enumerate([(2, 1), (1, 0), (2, 1)]):
        x = self.f.relu(self.up(x, w[f"TransposedConv_{i}"], stride, padding))
        x = self.norm(x, w[f"BatchNorm_{i + 1}"])
      x = self.up(x, w["TransposedConv_3"], 2, 1)
    else:
      for i in range(3):
        x = self.norm(self.f.relu(self.up(x, w[f"TransposedConv_{i}"], 2, 1)), w[f"BatchNorm_{i}"])
      x = self.up(x, w["TransposedConv_3"], 1, 1)
    return self.torch.tanh(x).permute(0, 2, 3, 1)

  def probability(self, x):
    w, x = self.w["discriminator"], x.permute(0, 3, 1, 2)
    if self.size == 28:
      for i in range(4):
        x = self.f.relu(self.conv(x, w[f"Conv_{i}"], 2))
        x = x if i == 0 else self.norm(x, w[f"BatchNorm_{i - 1}"])
      x = self.f.relu(self.dense(x.permute(0, 2, 3, 1).flatten(1), w["Dense_0"]))
      return self.torch.sigmoid(self.dense(self.norm(x, w["BatchNorm_3"]), w["Dense_1"]))[:, 0]
    for i in range(7):
      name = f"SpectralConv_{i}"
      direction = self.directions["discriminator"][name]
      x = self.f.leaky_relu(self.conv(x, w[name], 1 + i % 2, direction), 0.1)
    return self.torch.sigmoid(self.dense(x.permute(0, 2, 3, 1).flatten(1), w["Dense_0"]))[:, 0]


def losses_of_twin(twin, x, noise, prior):
  torch, least = twin.torch, 1e-8
  mean, log_variance = twin.encode(x)
  again = twin.decode(mean + (log_variance / 2).exp() * noise)
  distance = (x - again).abs().sum(dim=(1, 2, 3))
  kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(dim=1)
  made = twin.decode(prior)

  def of_encoder():
    return distance + kl

  def of_decoder():
    p, q = twin.probability(again), twin.probability(made)
    return WEIGHT * distance - torch.log(p + least) - torch.log(q + least)

  def of_discriminator():
    true, p, q = (twin.probability(one) for one in (x, again, made))
    return -(torch.log(true + least) + torch.log(1 - p + least) + torch.log(1 - q + least))

  return {"encoder": of_encoder, "decoder": of_decoder, "discriminator": of_discriminator}


@pytest.mark.parametrize("part", ["encoder", "decoder", "discriminator"])
@pytest.mark.parametrize("size", [28, 32])
def test_each_gradient_equals_that_of_a_pytorch_twin(size, part):
  torch = pytest.importorskip("torch", reason="the twins are written in PyTorch")
  channels, random = 1 if size == 28 else 3, np.random.default_rng(0)
  x = random.uniform(-1, 1, (BATCH, size, size, channels))
  noise, prior = random.normal(size=(2, BATCH, LATENT))
  with jax.enable_x64(True):
    module = VAEGAN((size, size, channels), LATENT, WIDTH)
    variables = jax.tree.map(
      lambda leaf: 1.5 * jnp.asarray(leaf, jnp.float64) + 0.01 * (leaf.ndim == 1),
      models.init(module, jax.random.key(0), module.image_shape),
    )

    def loss(own):
      networks = vae_gan.Networks(
        module, {**variables, "params": {**variables["params"], part: own}}, jnp.ones(BATCH)
      )
      if part == "encoder":
        return jnp.sum(vae_gan.encoder_loss(networks, x, noise)[0])
      if part == "decoder":
        return jnp.sum(vae_gan.decoder_loss(networks, x, noise, prior, weight=WEIGHT)[0])
      (mean, log_variance), _ = networks.call("encode", x)
      again, _ = networks.call("decode", vae_gan.sampled(mean, log_variance, noise))
      made, _ = networks.call("decode", prior)
      return jnp.sum(vae_gan.discriminator_loss(networks, x, again, made)[0])

    value, gradient = jax.jit(jax.value_and_grad(loss))(variables["params"][part])

  copied = jax.tree.map(lambda leaf: torch.tensor(np.asarray(leaf)), variables)
  own = jax.tree.map(lambda leaf: leaf.requires_grad_(True), copied["params"][part])
  copied["params"][part] = own
  given = [torch.tensor(one) for one in (x, noise, prior)]
  theirs = losses_of_twin(Twin(torch, size, copied), *given)[part]().sum()
  theirs.backward()
  assert float(value) == pytest.approx(float(theirs.detach()), rel=1e-9)
  for path, ours in jax.tree_util.tree_leaves_with_path(gradient):
    layer, name = (entry.key for entry in path)
    expected = own[layer][name].grad.numpy()
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-9 * (1 + np.abs(expected).max()))
