"""EOT: models that draw random numbers, averaged over many draws so that attacks see them whole."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from robust_saliency.core import Key, LogitsFn, checks, example_keys, fold_samples
from robust_saliency.core.losses import Loss, get_loss

# (keys [B], images [B, H, W, C]) -> logits [B, K], where each image uses its own key.
RandomizedLogitsFn = Callable[[Array, Array], Array]


def averaged_logits(
  key: Key,
  randomized_logits_fn: RandomizedLogitsFn,
  *,
  samples: int = 20,
  fresh: bool = True,
  chunk_size: int | None = None,
  unroll: bool | int | None = None,
) -> LogitsFn:
  """A randomised model as any attack takes it: its logits, and their gradients, averaged.

  This is for attacks that look at differences of logits (FAB, FMN, DeepFool, JSMA, `cw_l2`, or any
  with the margin as its loss). A curved loss of averaged logits is not the average of the losses;
  for that see `averaged_loss`.

  An attack calls its model with nothing but images, so that the draws can only depend on the key
  and on those. Either way they are the same in any batch, chunk or order:

  - `fresh`: every image that the attack tries has draws of its own, made from the bits of its
    pixels. So no step is fitted to the draws of the one before it, as in the source. The price: a
    rounding error in a pixel (from another batch size, say) gives other draws, and the best of
    many iterates is partly the luckiest.
  - not `fresh`: all images share the same draws. The attack then has a smooth, steady objective
    and can follow it to the end, but fools these draws better than others: take many.

  A randomised model is right or wrong by chance: judge the images that an attack returns on draws
  that it has not seen.

  Args:
    key: one PRNG key, for all images.
    randomized_logits_fn: maps keys [B] and images [B, H, W, C] to logits [B, K], each image by its
      own key. A model that takes one key for one image becomes one by `jax.vmap`.
    samples: number of draws (static).
    fresh: whether every image has draws of its own.
    chunk_size: rows per call of the model (static): several draws share a call where there are
      fewer images, and images are taken in turn where there are more. None: one draw of all
      images. Gradients need the memory of one call, since each is computed anew for them.
    unroll: how many calls share one pass of the compiled loop; see `core.repeat`.

  Returns:
    A function of images [B, H, W, C] to logits [B, K].

  Source: Athalye et al. 2018, "Synthesizing robust adversarial examples" (expectation over
  transformation), and "Obfuscated gradients give a false sense of security", section 4.2.

  >>> def noisy(keys, x):
  ...   noise = jax.vmap(lambda key: jax.random.normal(key, (2,)))(keys)
  ...   return x.reshape(-1, 2) + noise
  >>> logits_fn = averaged_logits(jax.random.key(0), noisy, samples=400, chunk_size=20)
  >>> bool(abs(logits_fn(jnp.zeros((1, 1, 1, 2)))).max() < 0.2)  # 4 standard errors
  True
  """
  return _averaged(
    key,
    randomized_logits_fn,
    lambda logits: logits,
    samples=samples,
    fresh=fresh,
    chunk_size=chunk_size,
    unroll=unroll,
  )


def averaged_loss(
  key: Key,
  randomized_logits_fn: RandomizedLogitsFn,
  loss: str | Loss = "cross_entropy",
  *,
  samples: int = 20,
  fresh: bool = True,
  chunk_size: int | None = None,
  unroll: bool | int | None = None,
) -> tuple[LogitsFn, Loss]:
  """What makes a gradient attack ascend the average of a loss over a model's draws.

      logits_fn, loss = averaged_loss(key, model, "cross_entropy", samples=20)
      x_adv = pgd(key, logits_fn, x, y, loss=loss, epsilon=8 / 255)

  The first gives, for every class, minus the mean loss that the images would have if it were their
  label; the second reads off the label's. So every attack that takes a `loss` follows

      1/n sum_i grad loss(z_i(x), y)

  exactly, and sees the class with the least mean loss as the model's answer: for cross-entropy the
  one of the largest mean log-probability. This is what AutoAttack's version for randomised
  defences averages.

  The loss is "cross_entropy", "cw_margin", "dlr" or any `(logits, y) -> [B]`. It is computed for
  each class, which costs little beside a network. The other arguments, the draws and the errors
  are those of `averaged_logits`.

  >>> def noisy(keys, x):
  ...   return x.reshape(-1, 2) * jax.vmap(jax.random.uniform)(keys)[:, None]
  >>> x, y = jnp.array([[[[0.6, 0.4]]]]), jnp.array([0])
  >>> logits_fn, loss = averaged_loss(jax.random.key(0), noisy, "cw_margin", samples=100)
  >>> loss(logits_fn(x), y).round(1).tolist()  # the mean of u (0.4 - 0.6), 0 < u < 1
  [-0.1]
  """
  loss_function = get_loss(loss)

  def losses_of_every_class(logits: Array) -> Array:
    batch, classes = logits.shape
    labels = jnp.broadcast_to(jnp.arange(classes)[:, None], (classes, batch))
    return -jax.vmap(loss_function, in_axes=(None, 0), out_axes=1)(logits, labels)

  logits_fn = _averaged(
    key,
    randomized_logits_fn,
    losses_of_every_class,
    samples=samples,
    fresh=fresh,
    chunk_size=chunk_size,
    unroll=unroll,
  )
  return logits_fn, lambda mean, y: -jnp.take_along_axis(mean, y[:, None], axis=1)[:, 0]


def _averaged(
  key: Key,
  randomized_logits_fn: RandomizedLogitsFn,
  transform: Callable[[Array], Array],
  *,
  samples: int,
  fresh: bool,
  chunk_size: int | None,
  unroll: bool | int | None,
) -> LogitsFn:
  (shared_key,) = example_keys(key, 1)
  checks.function(randomized_logits_fn=randomized_logits_fn)
  checks.flag(fresh=fresh)
  checks.unrolled(unroll)
  checks.count(samples=samples)
  if chunk_size is not None:
    checks.count(chunk_size=chunk_size)

  # Computed anew in the backward pass, or the gradient would need the memory of all draws.
  @jax.checkpoint
  def values(keys: Array, images: Array) -> Array:
    return transform(randomized_logits_fn(keys, images))

  def draw(numbers: Array, images: Array, marks: Array) -> Array:
    # Odd, so that no two draws of an image share a key.
    names = marks + numbers.astype(jnp.uint32) * jnp.uint32(2_654_435_769)
    return values(jax.vmap(jax.random.fold_in, in_axes=(None, 0))(shared_key, names), images)

  def mean(images: Array) -> Array:
    marks = _fingerprints(images) if fresh else jnp.zeros(images.shape[0], jnp.uint32)
    total = fold_samples(draw, images, marks, samples=samples, chunk_size=chunk_size, unroll=unroll)
    return total / samples

  return mean


def _fingerprints(images: Array) -> Array:
  """A number for the bits of each image, uint32 [B]."""
  pixels = jax.lax.stop_gradient(images).astype(jnp.float32)
  bits = jax.lax.bitcast_convert_type(pixels, jnp.uint32).reshape(images.shape[0], -1)
  # Multipliers differ between pixels, and are odd, so that no bit of a pixel is lost.
  odd = 2 * jnp.arange(bits.shape[1], dtype=jnp.uint32) + 1
  mixed = (bits ^ (bits >> 15)) * (odd * jnp.uint32(2_654_435_761))
  return jnp.sum(mixed ^ (mixed >> 13), axis=1, dtype=jnp.uint32)
