import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks import (
  averaged_logits,
  averaged_loss,
  cross_entropy,
  cw_margin,
  pgd,
)

KEY = jax.random.key(0)
X = jax.random.uniform(jax.random.key(1), (6, 2, 2, 1))
Y = jnp.array([0, 1, 2, 0, 1, 2])
WEIGHTS = 2 * jax.random.normal(jax.random.key(2), (4, 3))


def normal(keys, shape):
  return jax.vmap(lambda key: jax.random.normal(key, shape))(keys)


def with_noisy_pixels(keys, x):
  """A smooth model of an image with additive noise."""
  return jnp.tanh((x + 0.3 * normal(keys, x.shape[1:])).reshape(len(x), -1) @ WEIGHTS)


def with_noisy_weights(keys, x):
  """A linear model, each of whose weights is multiplied by 1 + noise."""
  weights = WEIGHTS * (1 + normal(keys, WEIGHTS.shape))
  return jnp.einsum("bn,bnk->bk", x.reshape(len(x), -1), weights)


def slopes(key, model, **settings):
  logits_fn = averaged_logits(key, model, **settings)
  return jax.grad(lambda x: cw_margin(logits_fn(x), Y).sum())(X)


def test_the_gradient_s_variance_falls_as_one_over_the_number_of_draws():
  keys = jax.random.split(KEY, 400)
  variances = []
  for samples in (1, 16):

    @jax.jit
    @jax.vmap
    def many(key, samples=samples):
      return slopes(key, with_noisy_pixels, samples=samples, chunk_size=96)

    variances.append(float(jnp.var(many(keys), axis=0).mean()))
  np.testing.assert_allclose(16 * variances[1], variances[0], rtol=0.25)


def test_the_expected_gradient_of_a_linear_model_is_that_without_noise():
  keys = jax.random.split(KEY, 300)
  # A linear score: of class 0.
  found = jax.jit(
    jax.vmap(
      lambda key: jax.grad(
        lambda x: averaged_logits(key, with_noisy_weights, samples=8, unroll=False)(x)[:, 0].sum()
      )(X)
    )
  )(keys)
  expected = jnp.broadcast_to(WEIGHTS[:, 0].reshape(2, 2, 1), X.shape)
  standard_error = jnp.std(found, axis=0) / np.sqrt(300)
  assert (jnp.abs(found.mean(axis=0) - expected) <= 4.5 * standard_error).all()
  # Noise that is added does not change its gradient at all.
  shifted = averaged_logits(
    KEY, lambda keys, x: x.reshape(6, 4) @ WEIGHTS + normal(keys, (3,)), samples=3, unroll=False
  )
  np.testing.assert_allclose(
    jax.jit(jax.grad(lambda x: shifted(x)[:, 0].sum()))(X), expected, rtol=1e-5, atol=1e-6
  )


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("loss", ["cross_entropy", lambda z, y: z[jnp.arange(len(y)), y] ** 2])
def test_the_gradient_of_an_averaged_loss_is_the_average_of_its_gradients(loss):
  other = jax.random.normal(jax.random.key(3), (4, 3))

  def one(x):
    return x.reshape(len(x), -1) @ WEIGHTS

  def two(x):
    return jnp.tanh(x.reshape(len(x), -1) @ other)

  def either(keys, x):
    first = jax.vmap(jax.random.bernoulli)(keys)
    return jnp.where(first[:, None], one(x), two(x))

  logits_fn, averaged = averaged_loss(KEY, either, loss, samples=7, unroll=False)
  function = cross_entropy if loss == "cross_entropy" else loss

  def value_and_slope(f):
    (_, value), slope = jax.jit(jax.value_and_grad(lambda x: (f(x).sum(), f(x)), has_aux=True))(X)
    return value, slope

  (ours, first, second) = (
    value_and_slope(f)
    for f in (
      lambda x: averaged(logits_fn(x), Y),
      lambda x: function(one(x), Y),
      lambda x: function(two(x), Y),
    )
  )
  # The value tells how many of the seven draws were of the first kind.
  share = (ours[0] - second[0]) / (first[0] - second[0])
  np.testing.assert_allclose(7 * share, jnp.round(7 * share), atol=1e-2)
  assert len(np.unique(jnp.round(7 * share))) > 1
  share = (jnp.round(7 * share) / 7).reshape(-1, 1, 1, 1)
  np.testing.assert_allclose(ours[1], share * first[1] + (1 - share) * second[1], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("fresh", [True, False])
def test_an_image_s_draws_depend_neither_on_its_place_nor_on_chunks(fresh):
  settings = {"samples": 5, "fresh": fresh, "unroll": False}
  whole = jax.jit(averaged_logits(KEY, with_noisy_pixels, **settings))
  together = whole(X)
  np.testing.assert_allclose(whole(X[::-1])[::-1], together, atol=1e-6)
  for chunk_size in (4, 13):
    model = averaged_logits(KEY, with_noisy_pixels, chunk_size=chunk_size, **settings)
    chunks = jax.jit(model)(X)
    np.testing.assert_allclose(chunks, together, atol=1e-6)


def test_fresh_draws_differ_between_images_and_shared_ones_do_not():
  def noise(keys, x):
    return normal(keys, (3,)) + 0 * x.reshape(len(x), -1)[:, :1]

  near = X.at[:, 0, 0, 0].add(1e-6)
  for fresh in (True, False):
    logits_fn = jax.jit(averaged_logits(KEY, noise, samples=2, fresh=fresh))
    first, second = logits_fn(X), logits_fn(near)
    np.testing.assert_array_equal(first, logits_fn(X))
    assert len(np.unique(first[:, 0])) == (6 if fresh else 1)
    assert (first != second).all() == fresh


def test_a_gradient_over_many_draws_needs_the_memory_of_few():
  inner = jax.random.normal(KEY, (4, 20_000))

  def wide(keys, x):
    noisy = (x + normal(keys, x.shape[1:])).reshape(len(x), -1)
    return jnp.tanh(noisy @ inner) @ inner[:3].T

  def memory(samples):
    logits_fn = averaged_logits(KEY, wide, samples=samples, unroll=False)
    program = jax.jit(jax.grad(lambda x: cross_entropy(logits_fn(x), Y).sum()))
    return program.lower(X).compile().memory_analysis().temp_size_in_bytes

  assert memory(64) < 1.2 * memory(4)


@pytest.mark.slow
def test_attacks_on_averages_raise_the_loss_of_draws_they_have_not_seen():
  def masked(keys, x):
    """Half of the pixels are hidden, at random: one draw has half of the gradient."""
    shown = jax.vmap(lambda key: jax.random.bernoulli(key, shape=x.shape[1:]))(keys)
    return jnp.sin(2 * (x * shown).reshape(len(x), -1)) @ WEIGHTS

  @jax.jit
  def expected_loss(x):
    unseen = averaged_logits(jax.random.key(9), masked, samples=500, chunk_size=60)
    return cw_margin(unseen(x), Y).mean()

  def attacked(samples):
    logits_fn, loss = averaged_loss(KEY, masked, "cw_margin", samples=samples, chunk_size=48)
    settings = {"epsilon": 0.1, "steps": 8, "step_size": 0.03, "keep": "last", "unroll": False}
    x_adv = jax.jit(lambda x: pgd(KEY, logits_fn, x, Y, loss=loss, **settings))(X)
    return expected_loss(x_adv)

  assert expected_loss(X) < attacked(1) < attacked(40)


@pytest.mark.parametrize(
  ("arguments", "error", "sentence"),
  [
    ({"samples": 0}, ValueError, "samples must be >= 1, got 0"),
    ({"samples": 2.5}, TypeError, "samples must be a whole number"),
    ({"chunk_size": 0}, ValueError, "chunk_size must be >= 1, got 0"),
  ],
)
@pytest.mark.parametrize("wrapper", [averaged_logits, averaged_loss])
def test_a_bad_argument_is_refused_in_one_sentence(wrapper, arguments, error, sentence):
  with pytest.raises(error, match=sentence):
    wrapper(KEY, with_noisy_pixels, **arguments)


def test_a_seed_instead_of_a_key_and_an_unknown_loss_are_refused():
  with pytest.raises(TypeError, match="key must be a PRNG key"):
    averaged_logits(0, with_noisy_pixels)
  with pytest.raises(ValueError, match="mean 'cw_margin'"):
    averaged_loss(KEY, with_noisy_pixels, "margin")
