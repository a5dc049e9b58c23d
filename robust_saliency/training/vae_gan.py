"""The trainer of a VAE-GAN: three networks, each with losses and an optimiser of its own.

  R = sum |x - x~|,  KL = -1/2 sum (1 + s - mu^2 - exp s),  z = mu + exp(s / 2) n,  x~ = G(z)
  L_E = R + KL
  L_G = lambda R - log(D(x~) + c) - log(D(G(z_p)) + c)
  L_D = -log(D(x) + c) - log(1 - D(x~) + c) - log(1 - D(G(z_p)) + c)

with mean mu and log-variance s of an image's code, n and z_p standard normal, c = 1e-8. A step of
the loop is one step of the encoder, one of the decoder, and some of the discriminator, in this
order, each on the same images with noise of its own and with what the others have become.

Source: Kim, Seo & Jeon 2019, section 2.1 (their code).
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax
from jax import Array

from robust_saliency import models
from robust_saliency.core.settings import Count, Positive, read
from robust_saliency.data import Dataset
from robust_saliency.models.vae_gan import PARTS, VAEGAN
from robust_saliency.objectives import AXIS
from robust_saliency.training.optimizers import get_optimizer
from robust_saliency.training.order import steps_per_epoch
from robust_saliency.training.recipe import Recipe
from robust_saliency.training.state import TrainState
from robust_saliency.training.step import Data, Step, examples_of

# Beside a probability, under a logarithm.
LEAST = 1e-8
BOUNDS = (-1.0, 1.0)
# What a recipe may have that a trainer of classifiers alone looks at.
OF_CLASSIFIERS = ("augmentation", "averaging", "early_stopping", "probe")

Optimizers = Mapping[str, optax.GradientTransformation]  # of each of `PARTS`


@dataclasses.dataclass(frozen=True)
class Architecture:
  """The architecture of a VAE-GAN in a config.

  Attributes:
    name: "vae_gan".
    latent: numbers in a code.
    width: see `models.VAEGAN`.
  """

  name: Literal["vae_gan"]
  latent: Count = 10
  width: Positive = 1.0


@dataclasses.dataclass(frozen=True)
class Settings:
  """The numbers of its losses, in a recipe's `trainer_settings`.

  Attributes:
    reconstruction: lambda, the weight of the reconstruction in the decoder's loss; the authors'
      are 0.005 for MNIST, 0.0005 for Fashion-MNIST and 0.01 for CIFAR-10.
    discriminator_steps: steps of the discriminator after each of the others; theirs are 1, 1, 5.
  """

  reconstruction: Positive
  discriminator_steps: Count = 1


def make_module(recipe: Recipe, dataset: Dataset, *, axis_name: str | None = None) -> VAEGAN:
  """The VAE-GAN of a recipe for a data set.

  Raises:
    ValueError, TypeError: for an architecture that is none, or images of another kind.
  """
  own: Architecture = read(Architecture, recipe.architecture, "architecture")
  if tuple(dataset.bounds) != BOUNDS:
    raise ValueError(
      f"a VAE-GAN needs pixels in [-1, 1]; give the data set bounds {BOUNDS}, got {dataset.bounds}"
    )
  height, width, channels = dataset.image_shape
  return VAEGAN((height, width, channels), own.latent, own.width, axis_name)


def initial_state(module: VAEGAN, optimizers: Optimizers, key: Array, *, seed: int) -> TrainState:
  """The state before the first step; `opt_state` has one of each network, by name.

  Args:
    module: the VAE-GAN.
    optimizers: of the three, by name.
    key: of the initial parameters.
    seed: fixes all noise.
  """
  variables = models.init(module, key, module.image_shape)
  return TrainState(
    step=jnp.zeros((), jnp.int32),
    seed=jax.random.key_data(jax.random.key(seed)),
    params=variables["params"],
    collections={name: value for name, value in variables.items() if name != "params"},
    opt_state={part: optimizers[part].init(variables["params"][part]) for part in PARTS},
  )


def vae_gan_step(
  module: VAEGAN,
  optimizers: Optimizers,
  settings: Settings,
  *,
  to_float: Any,
) -> Step:
  """One step of all three networks on one device's part of a batch.

  Args:
    module: its batch norms reduce over the axis "batch".
    optimizers: of the three, by name.
    settings: of the losses.
    to_float: resident pixels -> pixels in [-1, 1].

  Returns:
    As `step.make_step`. Batch norm's running averages, and the singular vectors of a
    discriminator, are those that each network leaves in its own steps.
  """

  def step(state: TrainState, data: Data, indices: Array) -> tuple[TrainState, dict[str, Array]]:
    rows, mask, keys = examples_of(state, data, indices)
    x = to_float(data["x"][rows])
    size = jnp.maximum(jax.lax.psum(jnp.sum(mask), AXIS), 1)
    measured: dict[str, Array] = {}
    numbers = iter(range(2 * (2 + settings.discriminator_steps)))

    def noise() -> Array:
      number = next(numbers)
      return jax.vmap(
        lambda key: jax.random.normal(jax.random.fold_in(key, number), (module.latent,))
      )(keys)

    def descend(part: str, losses: Any, state: TrainState) -> TrainState:
      """One step of one network on its loss; the others stay as they are."""

      def loss(own: Any) -> tuple[Array, Any]:
        variables = {**state.variables, "params": {**state.params, part: own}}
        values, after, of_metrics = losses(Networks(module, variables, mask))
        return jnp.sum(mask * values), (after.variables, of_metrics)

      gradient, (after, of_metrics) = jax.grad(loss, has_aux=True)(state.params[part])
      sums = jax.tree.map(lambda values: jnp.sum(mask * values), of_metrics)
      gradient, sums = jax.lax.psum((gradient, sums), AXIS)
      gradient, means = jax.tree.map(lambda total: total / size, (gradient, sums))
      measured.update(means)
      updates, opt_state = optimizers[part].update(
        gradient, state.opt_state[part], state.params[part]
      )
      return dataclasses.replace(
        state,
        params={**state.params, part: optax.apply_updates(state.params[part], updates)},
        opt_state={**state.opt_state, part: opt_state},
        collections={
          name: {**of, part: after[name][part]} if part in of else of
          for name, of in state.collections.items()
        },
      )

    drawn = noise()
    state = descend("encoder", lambda networks: encoder_loss(networks, x, drawn), state)
    of_decoder = noise(), noise()
    state = descend(
      "decoder",
      lambda networks: decoder_loss(networks, x, *of_decoder, weight=settings.reconstruction),
      state,
    )
    for _ in range(settings.discriminator_steps):
      networks = Networks(module, state.variables, mask)
      (mean, log_variance), _ = networks.call("encode", x)
      false = [
        networks.call("decode", codes)[0]
        for codes in (sampled(mean, log_variance, noise()), noise())
      ]
      state = descend(
        "discriminator", lambda of, false=false: discriminator_loss(of, x, *false), state
      )
    return dataclasses.replace(state, step=state.step + 1), measured

  return step


@dataclasses.dataclass(frozen=True)
class Networks:
  """The three networks in training mode, with the variables that a call is made with."""

  module: VAEGAN
  variables: Mapping[str, Any]
  mask: Array

  def call(self, method: str, inputs: Array) -> tuple[Any, "Networks"]:
    """What a method of the module gives, and the networks after it."""
    collections = [name for name in self.variables if name != "params"]
    found, updates = self.module.apply(
      self.variables, inputs, train=True, mask=self.mask, method=method, mutable=collections
    )
    return found, dataclasses.replace(self, variables={**self.variables, **updates})


# Of each example [B], the networks after it, and metrics of each example.
_Loss = tuple[Array, Networks, dict[str, Array]]


def encoder_loss(networks: Networks, x: Array, noise: Array) -> _Loss:
  """L_E of each image: R + KL."""
  (mean, log_variance), networks = networks.call("encode", x)
  again, networks = networks.call("decode", sampled(mean, log_variance, noise))
  kl = -0.5 * jnp.sum(1 + log_variance - mean**2 - jnp.exp(log_variance), axis=-1)
  reconstruction = _distance(x, again)
  return reconstruction + kl, networks, {"reconstruction": reconstruction, "kl": kl}


def decoder_loss(
  networks: Networks, x: Array, noise: Array, prior: Array, *, weight: float
) -> _Loss:
  """L_G of each image: lambda R - log(D(x~) + c) - log(D(G(z_p)) + c)."""
  (mean, log_variance), networks = networks.call("encode", x)
  again, networks = networks.call("decode", sampled(mean, log_variance, noise))
  made, networks = networks.call("decode", prior)
  values = weight * _distance(x, again)
  for false in (again, made):
    odds, networks = networks.call("discriminate", false)
    values -= jnp.log(jax.nn.sigmoid(odds) + LEAST)
  return values, networks, {"decoder_loss": values}


def discriminator_loss(networks: Networks, x: Array, again: Array, made: Array) -> _Loss:
  """L_D of each image: -log(D(x) + c) - log(1 - D(x~) + c) - log(1 - D(G(z_p)) + c)."""
  odds, networks = networks.call("discriminate", x)
  values = -jnp.log(jax.nn.sigmoid(odds) + LEAST)
  for false in (again, made):
    odds, networks = networks.call("discriminate", false)
    values -= jnp.log(1 - jax.nn.sigmoid(odds) + LEAST)
  return values, networks, {"discriminator_loss": values}


def sampled(mean: Array, log_variance: Array, noise: Array) -> Array:
  """Codes z = mu + exp(s / 2) n.

  >>> sampled(jnp.zeros(2), jnp.log(jnp.array([4.0, 9.0])), jnp.ones(2)).round(3).tolist()
  [2.0, 3.0]
  """
  return mean + jnp.exp(log_variance / 2) * noise


def _distance(x: Array, again: Array) -> Array:
  return jnp.sum(jnp.abs(x - again), axis=(1, 2, 3))


def make_optimizers(recipe: Recipe, settings: Settings, examples: int) -> Optimizers:
  """Those of the three networks; all end their schedules with the training."""

  def of_part(steps_each: int) -> optax.GradientTransformation:
    return get_optimizer(
      recipe.optimizer,
      steps_per_epoch=steps_each * steps_per_epoch(examples, recipe.batch_size),
      total_steps=steps_each * recipe.total_steps(examples),
    )

  return {
    part: of_part(settings.discriminator_steps if part == "discriminator" else 1) for part in PARTS
  }


def read_settings(recipe: Recipe) -> Settings:
  """The settings of a VAE-GAN's recipe.

  Raises:
    ValueError, TypeError: for what it does not have, or what only a classifier has.
  """
  if recipe.objective:
    raise ValueError(
      "objective of a VAE-GAN must be left empty, since it has losses of its own; got "
      f"{', '.join(recipe.objective)}"
    )
  for field in OF_CLASSIFIERS:
    if getattr(recipe, field) is not None:
      raise ValueError(f"{field} must be left out for a VAE-GAN, got {getattr(recipe, field)!r}")
  settings: Settings = read(Settings, recipe.trainer_settings or {}, "trainer_settings")
  return settings
