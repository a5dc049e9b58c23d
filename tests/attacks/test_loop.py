from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from robust_saliency.attacks import ascend, bim, cross_entropy, fgsm, mim, pgd, tgsm
from robust_saliency.core import example_keys

KEY = jax.random.key(0)
STEPS = {"steps": 5, "unroll": False}
ATTACKS = {
  "fgsm": fgsm,
  "tgsm": partial(tgsm, **STEPS),
  "bim": partial(bim, **STEPS),
  "mim": partial(mim, **STEPS),
  "pgd": partial(pgd, **STEPS),
  "pgd_l2": partial(pgd, norm="l2", **STEPS),
  "pgd_l1": partial(pgd, norm="l1", **STEPS),
  "pgd_last": partial(pgd, keep="last", **STEPS),
  "pgd_restarts": partial(pgd, restarts=3, **STEPS),
}
# Those that go through the same code as others take their minute with the slow tests.
LIKE_OTHERS = ("bim", "mim", "pgd_l2", "pgd_last", "pgd_restarts", "tgsm")


def each_of(names):
  slow = pytest.mark.slow
  return pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[slow] * (n in LIKE_OTHERS)) for n in names]
  )


every_attack = each_of(ATTACKS)


@pytest.mark.quick_cases(1)
@every_attack
def test_an_example_s_result_does_not_depend_on_its_batch(network, name):
  logits_fn, x, y = network
  repeated = [jnp.tile(a, (8, *[1] * (a.ndim - 1))) for a in (x, y)]
  keys = example_keys(KEY, 128)
  attack = jax.jit(lambda keys, x, y: ATTACKS[name](keys, logits_fn, x, y, epsilon=0.1))
  together = attack(keys, *repeated)
  for n in (0, 37, 127):
    alone = attack(keys[n : n + 1], *(a[n : n + 1] for a in repeated))
    np.testing.assert_allclose(alone[0], together[n], atol=1e-5)


@pytest.mark.quick_cases(1)
@every_attack
def test_one_device_and_eight_give_the_same(network, name):
  logits_fn, x, y = network
  keys = example_keys(KEY, 16)

  def attack(keys, x, y):
    return ATTACKS[name](keys, logits_fn, x, y, epsilon=0.1)

  split = jax.tree.map(lambda a: a.reshape(8, 2, *a.shape[1:]), (keys, x, y))
  on_eight = jax.pmap(attack)(*split).reshape(x.shape)
  np.testing.assert_allclose(on_eight, jax.jit(attack)(keys, x, y), atol=1e-5)


@pytest.mark.quick_cases(1)
@every_attack
def test_one_compiled_call_over_epsilons_equals_separate_calls(network, name):
  logits_fn, x, y = network
  attack = jax.jit(lambda epsilon: ATTACKS[name](KEY, logits_fn, x, y, epsilon=epsilon))
  epsilons = jnp.array([0.0, 0.05, 0.3])
  curve = jax.jit(jax.vmap(attack))(epsilons)
  for epsilon, x_adv in zip(epsilons, curve, strict=True):
    np.testing.assert_allclose(x_adv, attack(epsilon), atol=1e-5)


def test_step_size_and_decay_are_traced(network):
  logits_fn, x, y = network

  def attack(step_size, decay):
    settings = {"epsilon": 0.1, "step_size": step_size, "decay": decay, **STEPS}
    return mim(KEY, logits_fn, x, y, **settings)

  step_sizes, decays = jnp.array([0.01, 0.1]), jnp.array([0.0, 1.0])
  curve = jax.jit(jax.vmap(attack))(step_sizes, decays)
  for i in range(2):
    np.testing.assert_allclose(curve[i], attack(step_sizes[i], decays[i]), atol=1e-5)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("targeted", [False, True])
def test_the_best_iterate_is_never_worse_than_the_last(network, targeted):
  logits_fn, x, y = network
  y = (y + targeted) % 5

  def attack(keep):
    # Steps so long that the loss goes up and down.
    settings = {"epsilon": 0.4, "step_size": 0.3, "targeted": targeted, **STEPS}
    return pgd(KEY, logits_fn, x, y, keep=keep, **settings)

  best, last = (logits_fn(attack(keep)) for keep in ("best", "last"))
  sign = -1 if targeted else 1
  fools = [(logits.argmax(axis=1) == y) == targeted for logits in (best, last)]
  losses = [sign * cross_entropy(logits, y) for logits in (best, last)]
  assert (fools[0] >= fools[1]).all()
  assert ((losses[0] >= losses[1] - 1e-6) | (fools[0] & ~fools[1])).all()
  assert (losses[0] > losses[1] + 1e-3).any()


@pytest.mark.parametrize("keep", ["best", "last"])
def test_more_restarts_are_never_worse(network, keep):
  logits_fn, x, y = network

  def attack(restarts):
    settings = {"epsilon": 0.15, "steps": 3, "keep": keep, "unroll": False}
    return logits_fn(pgd(KEY, logits_fn, x, y, restarts=restarts, **settings))

  once, often = attack(1), attack(6)
  fools = [logits.argmax(axis=1) != y for logits in (once, often)]
  losses = [cross_entropy(logits, y) for logits in (once, often)]
  assert (fools[1] >= fools[0]).all()
  assert ((losses[1] >= losses[0] - 1e-6) | (fools[1] & ~fools[0])).all()
  assert (losses[1] > losses[0] + 1e-4).any()


def test_random_starts_differ_between_keys_examples_and_restarts(network):
  logits_fn, x, y = network
  same = [jnp.repeat(a[:1], 4, axis=0) for a in (x, y)]
  start = partial(pgd, epsilon=0.1, step_size=0.0, steps=1, keep="last")
  first = start(KEY, logits_fn, *same)
  np.testing.assert_array_equal(first, start(KEY, logits_fn, *same))
  assert not np.array_equal(first, start(jax.random.key(1), logits_fn, *same))
  assert len(np.unique(np.asarray(first).reshape(4, -1), axis=0)) == 4


def test_an_image_that_fools_already_is_kept_rather_than_one_of_higher_loss_that_does_not():
  # The loss rises with the first pixel, the model is fooled only while that pixel is small.
  def logits_fn(x):
    return jnp.stack([x[:, 0], 0.5 + 0 * x[:, 0]], axis=1)

  x_adv = ascend(
    KEY,
    logits_fn,
    jnp.array([[0.2]]),
    jnp.array([0]),
    loss=lambda logits, y: logits[:, 0],
    optimizer=optax.stateless(lambda g, x: 0.5 * jnp.sign(g)),
    project=lambda candidate, image: jnp.clip(candidate, 0, 1),
    steps=3,
  )
  np.testing.assert_allclose(x_adv, [[0.2]])


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("keep", ["best", "last"])
@each_of(["pgd", "pgd_l2", "pgd_l1", "mim"])
def test_an_image_on_which_the_model_gives_nan_neither_spreads_it_nor_leaves_the_ball(
  network, name, keep
):
  logits_fn, x, y = network
  broken = jnp.arange(16) == 3

  def breaks(images):
    return jnp.where(broken[:, None], jnp.nan, logits_fn(images))

  x_adv = ATTACKS[name](KEY, breaks, x, y, epsilon=0.1, keep=keep)
  assert np.isfinite(x_adv).all()
  assert (jnp.abs(x_adv - x) <= 0.1 + 1e-6).all()
  intact = ATTACKS[name](KEY, logits_fn, x, y, epsilon=0.1, keep=keep)
  np.testing.assert_allclose(x_adv[~broken], intact[~broken], atol=1e-6)
  if keep == "best":
    np.testing.assert_array_equal(x_adv[3], x[3])


def test_pixels_where_the_model_breaks_are_never_returned(network):
  _, x, y = network
  # The logarithm's domain ends within the ball.
  weights = jax.random.normal(KEY, (16, 5))

  def logits_fn(images):
    return jnp.log(images.reshape(16, -1) - 0.05) @ weights

  x = 0.1 + 0.8 * x
  x_adv = pgd(KEY, logits_fn, x, y, epsilon=0.2, **STEPS)
  assert np.isfinite(x_adv).all()
  assert np.isfinite(cross_entropy(logits_fn(x_adv), y)).all()


def test_the_network_is_called_once_per_step(network):
  logits_fn, x, y = network
  calls = []

  def counting(images):
    calls.append(images.shape)
    return logits_fn(images)

  jax.make_jaxpr(lambda x: pgd(KEY, counting, x, y, epsilon=0.1, steps=5, keep="last"))(x)
  # Traced for its number of classes and for its constants; its steps reuse that trace.
  assert len(calls) <= 2


def test_attacks_have_no_gradient_to_images_or_epsilon(network):
  logits_fn, x, y = network
  slopes = jax.grad(
    lambda x, epsilon: pgd(KEY, logits_fn, x, y, epsilon=epsilon, **STEPS).sum(), (0, 1)
  )(x, 0.1)
  assert not any(np.any(slope) for slope in slopes)


@pytest.mark.parametrize(
  ("settings", "sentence"),
  [
    ({"restarts": 0}, "restarts must be >= 1, got 0"),
    ({"steps": 0}, "steps must be >= 1, got 0"),
    ({"keep": "beast"}, r"keep must be one of best, last; got 'beast' \(did you mean 'best'\?\)"),
    ({"loss": "dlr2"}, "loss must be one of"),
  ],
)
def test_bad_settings_are_refused(network, settings, sentence):
  logits_fn, x, y = network
  with pytest.raises(ValueError, match=sentence):
    ascend(
      KEY,
      logits_fn,
      x,
      y,
      **{"optimizer": optax.identity(), "project": lambda c, _: c, "steps": 1, **settings},
    )
