import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.extend.core import Jaxpr

from robust_saliency.attacks import pgd
from robust_saliency.core import detached, full_precision, repeat

UNROLLS = (None, True, False, 0, 1, 2, 20)


def text(function, *arguments):
  return jax.jit(function).lower(*arguments).as_text()


@pytest.mark.parametrize("times", [0, 1, 5, 12])
def test_every_unroll_gives_the_same(times):
  def run(unroll):
    return repeat(lambda i, x: 0.5 * x + i, jnp.array(3.0), times=times, unroll=unroll)

  expected = 3.0
  for i in range(times):
    expected = 0.5 * expected + i
  for unroll in UNROLLS:
    np.testing.assert_allclose(run(unroll), expected, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(run, static_argnums=0)(unroll), expected, rtol=1e-6)


@pytest.mark.parametrize("unroll", ["yes", 2.5, -1, [True], {"by": 2}])
def test_an_unroll_that_is_neither_a_flag_nor_a_number_is_refused(unroll):
  with pytest.raises((ValueError, TypeError), match="unroll must be"):
    repeat(lambda i, x: x, 0.0, times=3, unroll=unroll)


def test_a_loop_ends_once_nothing_more_is_wanted():
  def run(until, unroll=False):
    return repeat(lambda i, n: n + 1, jnp.int32(0), times=5, unroll=unroll, until=until)

  assert run(lambda n: n == 3) == 3
  assert run(lambda n: n == 0) == 0
  assert run(lambda n: n == 9) == 5
  # Without a loop there is nothing to end.
  assert jax.jit(lambda: run(lambda n: n == 3, unroll=True))() == 5


def test_unrolled_steps_leave_no_loop_in_the_program():
  def run(unroll, times):
    step = lambda i, x: jnp.sin(x) + i  # noqa: E731
    return text(lambda x: repeat(step, x, times=times, unroll=unroll), jnp.ones(3))

  assert "while" not in run(True, 50)
  assert "while" not in run(None, 10)
  assert "while" in run(False, 10)
  assert "while" in run(None, 50)
  # Two steps share a pass; by release, jax calls the step or writes it out.
  assert "while" in run(2, 50)
  rolled, by_two = (
    text.count("call @closed_call") + text.count("stablehlo.sine")
    for text in (run(False, 50), run(2, 50))
  )
  assert by_two == rolled + 1


def loss(weights, x, y):
  hidden = jnp.tanh(x.reshape(len(x), -1) @ weights["in"])
  return optax.losses.softmax_cross_entropy_with_integer_labels(hidden @ weights["out"], y)


@pytest.fixture
def problem():
  keys = jax.random.split(jax.random.key(0), 3)
  weights = {
    "in": jax.random.normal(keys[0], (16, 32)),
    "out": jax.random.normal(keys[1], (32, 4)),
  }
  x = jax.random.uniform(keys[2], (8, 4, 4, 1))
  return weights, x, jnp.arange(8) % 4


def attack(weights, x, y, steps, unroll):
  def logits_fn(images):
    return jnp.tanh(images.reshape(len(images), -1) @ weights["in"]) @ weights["out"]

  return pgd(
    jax.random.key(1), logits_fn, x, y, epsilon=0.1, steps=steps, keep="last", unroll=unroll
  )


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("unroll", [True, False])
def test_a_loss_that_contains_an_attack_has_the_gradient_at_the_fixed_adversarial_images(
  problem, unroll
):
  weights, x, y = problem

  def adversarial_loss(weights):
    return loss(weights, attack(weights, x, y, 8, unroll), y).sum()

  x_adv = attack(weights, x, y, 8, unroll)
  at_fixed_images = jax.grad(lambda weights: loss(weights, x_adv, y).sum())(weights)
  through_the_attack = jax.jit(jax.grad(adversarial_loss))(weights)
  for name in weights:
    np.testing.assert_allclose(through_the_attack[name], at_fixed_images[name], atol=1e-4)


def test_training_on_attacked_images_costs_the_attack_and_one_gradient(problem):
  weights, x, y = problem

  def flops(function, *arguments):
    return jax.jit(function).lower(*arguments).compile().cost_analysis()["flops"]

  both = flops(
    jax.grad(lambda weights: loss(weights, attack(weights, x, y, 8, True), y).sum()), weights
  )
  apart = flops(lambda weights: attack(weights, x, y, 8, True), weights) + flops(
    jax.grad(lambda weights, x: loss(weights, x, y).sum()), weights, x
  )
  assert both <= 1.02 * apart


def test_the_attack_s_loop_is_not_differentiated(problem):
  weights, x, y = problem

  def adversarial_loss(weights):
    return loss(weights, attack(weights, x, y, 50, False), y).sum()

  def loops(function):
    return text(function, weights).count("stablehlo.while")

  assert loops(jax.grad(adversarial_loss)) == loops(adversarial_loss)
  forward = jax.jit(adversarial_loss).lower(weights).compile().memory_analysis()
  backward = jax.jit(jax.grad(adversarial_loss)).lower(weights).compile().memory_analysis()
  # 50 steps' saved activations would be 50 * 8 * (32 + 32 + 4 + 16) * 4 bytes = 134 kB.
  assert backward.temp_size_in_bytes - forward.temp_size_in_bytes < 40_000


def operations(jaxpr):
  """All operations of a program, those of its inner programs included."""
  parameters = jax.tree.leaves([equation.params for equation in jaxpr.eqns])
  inner = [getattr(parameter, "jaxpr", parameter) for parameter in parameters]
  return len(jaxpr.eqns) + sum(operations(one) for one in inner if isinstance(one, Jaxpr))


def test_differentiating_the_loss_adds_nothing_per_step_of_the_attack(problem):
  weights, x, y = problem

  def program(transform, steps):
    def adversarial_loss(weights):
      return loss(weights, attack(weights, x, y, steps, True), y).sum()

    return operations(jax.make_jaxpr(transform(adversarial_loss))(weights).jaxpr)

  per_step = program(lambda f: f, 4) - program(lambda f: f, 3)
  assert program(jax.grad, 4) - program(jax.grad, 3) == per_step


def test_a_detached_function_gives_the_same_values_and_input_gradients(problem):
  weights, x, _ = problem

  def logits_fn(images):
    return jnp.tanh(images.reshape(len(images), -1) @ weights["in"])

  constant = detached(logits_fn, x)
  np.testing.assert_array_equal(constant(x), logits_fn(x))
  np.testing.assert_allclose(
    jax.grad(lambda x: constant(x).sum())(x), jax.grad(lambda x: logits_fn(x).sum())(x), rtol=1e-5
  )


def test_a_detached_function_has_no_gradient_to_what_it_closes_over():
  def value(w):
    return detached(lambda x: w * x, jnp.ones((1, 2)))(jnp.ones((1, 2))).sum()

  assert jax.grad(value)(3.0) == 0.0
  np.testing.assert_array_equal(jax.vmap(jax.grad(value))(jnp.arange(3.0)), jnp.zeros(3))


def product():
  return lambda a, b: a @ b


def test_matrix_products_are_in_full_precision_unless_the_user_has_chosen():
  a = jnp.ones((2, 2))
  assert "HIGHEST" in text(full_precision(product()), a, a)
  assert "HIGHEST" not in text(product(), a, a)
  with jax.default_matmul_precision("bfloat16"):
    assert "HIGHEST" not in text(full_precision(product()), a, a)


def test_attacks_run_in_full_precision(problem):
  weights, x, y = problem
  program = text(lambda x: attack(weights, x, y, 2, True), x)
  products = [line for line in program.splitlines() if "dot_general" in line]
  assert products
  assert all("HIGHEST" in line for line in products)


def test_full_precision_keeps_name_and_documentation():
  assert pgd.__name__ == "pgd"
  assert pgd.__doc__.startswith("Finds")
