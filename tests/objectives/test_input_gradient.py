import jax
import jax.numpy as jnp
import numpy as np
import pytest

from robust_saliency import objectives
from robust_saliency.objectives.input_gradient import penalty_on
from tests.objectives.numerical import torch_network

SOFT_TARGETS = np.random.default_rng(1).dirichlet(np.ones(3), 5)


def distilled_label_penalty(logits_fn, x, y, **settings):
  targets = jnp.asarray(SOFT_TARGETS)[: len(x)]
  return objectives.distilled_label_penalty(logits_fn, x, targets, **settings)


PENALTIES = {
  "input gradient": objectives.input_gradient_penalty,
  "certainty": objectives.certainty_penalty,
  "distilled label": distilled_label_penalty,
}


def targets_of(name, y, classes=3):
  if name == "distilled label":
    return SOFT_TARGETS[: len(y)]
  return np.eye(classes)[y] if name == "input gradient" else np.full((len(y), classes), 1 / classes)


def summed_cross_entropy(logits_fn, x, targets):
  """H(p, f(x)) of the paper: summed over the batch."""
  return -jnp.sum(targets * jax.nn.log_softmax(logits_fn(x)))


def central_differences(function, a, step):
  """The gradient of a function of an array, without automatic differentiation."""
  a = np.asarray(a)
  gradient = np.zeros_like(a)
  for index in np.ndindex(a.shape):
    values = []
    for sign in (1, -1):
      moved = a.copy()
      moved[index] += sign * step
      values.append(float(function(moved)))
    gradient[index] = (values[0] - values[1]) / (2 * step)
  return gradient


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_are_squared_input_gradients_by_finite_differences(name, problem):
  total = jax.jit(
    lambda x: summed_cross_entropy(problem.logits_fn(), x, targets_of(name, problem.y))
  )
  gradient = central_differences(total, problem.x, 1e-5)
  penalty = PENALTIES[name](problem.logits_fn(), jnp.asarray(problem.x), jnp.asarray(problem.y))
  np.testing.assert_allclose(penalty, np.sum(gradient**2, axis=(1, 2, 3)), rtol=1e-7)


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("name", PENALTIES)
def test_parameter_gradients_of_penalties_by_finite_differences(name, problem):
  @jax.jit
  def total(params):
    penalty = PENALTIES[name](
      problem.logits_fn(params), jnp.asarray(problem.x), jnp.asarray(problem.y)
    )
    return jnp.sum(penalty)

  params = problem.variables["params"]
  gradient = jax.grad(total)(params)
  # Along a few random directions of all parameters at once.
  for seed in range(3):
    random = np.random.default_rng(seed)
    direction = jax.tree.map(lambda leaf, r=random: r.normal(size=leaf.shape), params)

    def along(t, direction=direction):
      return total(jax.tree.map(lambda leaf, d: leaf + t * d, params, direction))

    expected = central_differences(along, np.array(0.0), 1e-5)
    slope = sum(jax.tree.leaves(jax.tree.map(lambda g, d: np.vdot(g, d), gradient, direction)))
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


@pytest.mark.quick_cases(5)
@pytest.mark.parametrize("scaling", ["per_example", "batch_mean", "batch_root"])
@pytest.mark.parametrize("name", PENALTIES)
def test_scalings_are_those_of_the_paper_s_equation_and_of_its_code(name, scaling, problem):
  x, y, logits_fn = jnp.asarray(problem.x), jnp.asarray(problem.y), problem.logits_fn()
  targets, strength = targets_of(name, problem.y), 7.0

  def mean_cross_entropy(x):
    return summed_cross_entropy(logits_fn, x, targets) / len(x)

  if scaling == "batch_mean":
    # The code: L + lambda / 2 sum (dL / dX)^2, L the mean over the batch.
    expected = strength / 2 * jnp.sum(jax.grad(mean_cross_entropy)(x) ** 2)
  elif scaling == "batch_root":
    # Noack et al.'s: the norm of the same gradient, neither squared nor averaged.
    expected = strength * jnp.linalg.norm(jax.grad(mean_cross_entropy)(x))
  else:
    # Equation 6: sum_n H_n + lambda ||dH / dX||^2, here per example.
    summed = jax.grad(lambda x: summed_cross_entropy(logits_fn, x, targets))(x)
    expected = strength * jnp.sum(summed**2) / len(x)
  penalty = strength * jnp.mean(PENALTIES[name](logits_fn, x, y, scaling=scaling))
  np.testing.assert_allclose(penalty, expected, rtol=1e-12)


@pytest.mark.parametrize("train", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("name", PENALTIES)
@pytest.mark.peers
def test_penalties_and_their_gradients_agree_with_pytorch_s_double_backward(name, train, problem):
  torch = pytest.importorskip("torch", reason="compares with PyTorch's double backward")
  functional = torch.nn.functional

  def penalty_of(params):
    logits_fn = problem.logits_fn(params, train=train)
    return PENALTIES[name](logits_fn, jnp.asarray(problem.x), jnp.asarray(problem.y))

  params = problem.variables["params"]
  penalty = penalty_of(params)
  gradient = jax.grad(lambda params: jnp.sum(penalty_of(params)))(params)

  network, copies = torch_network(torch, problem, train=train)
  x = torch.tensor(problem.x, requires_grad=True)
  loss = functional.cross_entropy(
    network(x), torch.tensor(targets_of(name, problem.y)), reduction="sum"
  )
  (slope,) = torch.autograd.grad(loss, x, create_graph=True)
  expected = (slope**2).sum(dim=(1, 2, 3))
  expected.sum().backward()

  np.testing.assert_allclose(penalty, expected.detach(), rtol=1e-5)
  for ours, theirs in zip(jax.tree.leaves(gradient), jax.tree.leaves(copies), strict=True):
    np.testing.assert_allclose(ours, theirs.grad, rtol=1e-5, atol=1e-12)


@pytest.mark.quick_cases(1)
def test_the_entropy_penalty_is_the_squared_gradient_of_the_entropy(problem):
  def total(x):
    p = np.asarray(jax.nn.softmax(problem.logits_fn()(jnp.asarray(x))))
    return -np.sum(p * np.log(p))

  gradient = central_differences(total, problem.x, 1e-5)
  model = problem.logits_fn(), jnp.asarray(problem.x), jnp.asarray(problem.y)
  np.testing.assert_allclose(
    objectives.entropy_penalty(*model), np.sum(gradient**2, axis=(1, 2, 3)), rtol=1e-6
  )
  assert np.abs(gradient).max() > 1e-3


def test_with_constant_labels_the_entropy_penalty_is_zero_everywhere(problem):
  model = problem.logits_fn(), jnp.asarray(problem.x), jnp.asarray(problem.y)
  np.testing.assert_allclose(
    objectives.entropy_penalty(*model, constant_labels=True), 0, atol=1e-25
  )


def test_certainty_does_not_depend_on_the_classes(problem):
  x, logits_fn = jnp.asarray(problem.x), problem.logits_fn()
  a, b = (objectives.certainty_penalty(logits_fn, x, jnp.full(5, y)) for y in (0, 2))
  np.testing.assert_array_equal(a, b)


@pytest.mark.quick_cases(1)
def test_padding_does_not_reach_the_penalties_of_real_examples(problem):
  x, y = jnp.asarray(problem.x), jnp.asarray(problem.y)
  mask = jnp.array([1.0, 1.0, 1.0, 0.0, 0.0])

  def masked(x):
    variables = jax.tree.map(jnp.asarray, problem.variables)
    return problem.apply_fn(variables, x, train=True, mask=mask[: len(x)])[0]

  padded = penalty_on(objectives.forward_pass(masked, x, y, mask), lambda _: y)
  alone = objectives.input_gradient_penalty(masked, x[:3], y[:3])
  np.testing.assert_allclose(padded[:3], alone, rtol=1e-12)


def test_an_unknown_scaling_is_refused():
  with pytest.raises(
    ValueError, match="scaling must be one of per_example, batch_mean, batch_root; got 'sum'"
  ):
    objectives.input_gradient_penalty(
      lambda x: x[:, 0, 0], jnp.ones((1, 1, 1, 2)), jnp.array([0]), scaling="sum"
    )
