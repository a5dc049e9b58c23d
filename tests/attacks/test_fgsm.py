import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency.attacks import LOSSES, fgsm, tgsm

KEY = jax.random.key(0)


def slopes(logits_fn, x, y):
  return np.asarray(jax.grad(lambda x: LOSSES["cross_entropy"](logits_fn(x), y).sum())(x))


@pytest.mark.parametrize("epsilon", [0.0, 0.03, 0.5])
def test_fgsm_is_the_clipped_sign_step(network, epsilon):
  logits_fn, x, y = network
  expected = np.clip(x + epsilon * np.sign(slopes(logits_fn, x, y)), 0, 1)
  np.testing.assert_allclose(fgsm(KEY, logits_fn, x, y, epsilon=epsilon), expected, atol=1e-6)


def test_targeted_fgsm_steps_the_other_way(network):
  logits_fn, x, y = network
  expected = np.clip(x - 0.1 * np.sign(slopes(logits_fn, x, y)), 0, 1)
  x_adv = fgsm(KEY, logits_fn, x, y, epsilon=0.1, targeted=True)
  np.testing.assert_allclose(x_adv, expected, atol=1e-6)


def test_the_fast_gradient_method_in_l2_steps_along_the_gradient(network):
  logits_fn, x, y = network
  g = slopes(logits_fn, x, y)
  expected = np.clip(
    x + 0.3 * g / np.linalg.norm(g.reshape(16, -1), axis=1)[:, None, None, None], 0, 1
  )
  x_adv = fgsm(KEY, logits_fn, x, y, epsilon=0.3, norm="l2")
  np.testing.assert_allclose(x_adv, expected, atol=1e-6)


def test_the_fast_gradient_method_in_l1_moves_one_pixel(network):
  logits_fn, x, y = network
  x_adv = fgsm(KEY, logits_fn, x, y, epsilon=0.05, norm="l1")
  moved = np.abs(x_adv - x).reshape(16, -1) > 1e-6
  assert (moved.sum(axis=1) == 1).all()


def test_a_pixel_without_gradient_stays(network):
  _, x, y = network
  x_adv = fgsm(KEY, lambda x: x[:, 0, :, 0], x, jnp.minimum(y, 3), epsilon=0.2)
  np.testing.assert_array_equal(x_adv[:, 1:], x[:, 1:])
  assert (x_adv[:, 0] != x[:, 0]).any()


@pytest.mark.parametrize("steps", [1, 4])
def test_tgsm_is_the_iterated_targeted_step_held_by_the_bounds_alone(network, steps):
  logits_fn, x, y = network
  expected = x
  for _ in range(steps):
    expected = jnp.clip(expected - 0.1 * jnp.sign(slopes(logits_fn, expected, (y + 2) % 5)), 0, 1)
  x_adv = tgsm(KEY, logits_fn, x, y, epsilon=0.1, steps=steps, target_offset=2)
  np.testing.assert_allclose(x_adv, expected, atol=1e-6)


def test_tgsm_s_target_wraps_round_after_the_last_class(network):
  logits_fn, x, _ = network
  last = jnp.full(16, 4)
  np.testing.assert_allclose(
    tgsm(KEY, logits_fn, x, last, epsilon=0.1),
    fgsm(KEY, logits_fn, x, jnp.zeros(16, int), epsilon=0.1, targeted=True),
    atol=1e-6,
  )


def test_the_gradient_is_taken_once_for_all_epsilons(network):
  _, x, y = network
  weights = jnp.ones((16, 5))
  curve = jax.vmap(
    lambda epsilon: fgsm(KEY, lambda x: x.reshape(16, -1) @ weights, x, y, epsilon=epsilon)
  )
  program = jax.jit(curve).lower(jnp.linspace(0.0, 0.3, 7)).as_text()
  products = [line for line in program.splitlines() if "dot_general" in line]
  assert products
  assert not any("7x16" in line for line in products)


@pytest.mark.parametrize("attack", [fgsm, tgsm])
def test_a_negative_epsilon_is_refused(network, attack):
  with pytest.raises(ValueError, match="epsilon must be >= 0, got -1"):
    attack(KEY, *network, epsilon=-1)


def test_tgsm_refuses_no_steps(network):
  with pytest.raises(ValueError, match="steps must be >= 1, got 0"):
    tgsm(KEY, *network, epsilon=0.1, steps=0)
