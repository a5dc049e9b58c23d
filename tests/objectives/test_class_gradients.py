"""What all terms of the outputs' input gradients have in common."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from robust_saliency import objectives
from robust_saliency.core import example_keys
from robust_saliency.objectives import TERMS, TrainingPasses, weighted_sum
from robust_saliency.objectives.jacobian import unit_vectors
from robust_saliency.objectives.output_gradients import MOST_UNROLLED, output_gradients
from robust_saliency.objectives.passes import forward_pass
from robust_saliency.training import batch_indices, create_state, make_step, map_over_devices
from tests.objectives.numerical import torch_network
from tests.objectives.test_weighted_sum import batch_of, keys_of, on_one_device

CLASSES = 3
TERMS_OF_OUTPUTS = {
  "class_mean_alignment": {},
  "cross_lipschitz_penalty": {},
  "interpretation_direction": {"threshold": 1.0},
  "interpretation_distance": {},
  "interpretation_magnitude": {},
  "jacobian_penalty": {"scaling": "batch_root"},
  "perceptual_alignment": {},
  "projected_jacobian_penalty": {},
}
RANDOM, KEY = np.random.default_rng(0), jax.random.key(0)


def test_every_term_with_an_output_is_here():
  with_output = {name for name in TERMS if "output" in TERMS[name].function.__kwdefaults__ or ()}
  assert with_output == set(TERMS_OF_OUTPUTS)


@pytest.mark.parametrize("count", [0, 1, MOST_UNROLLED, MOST_UNROLLED + 1])
def test_gradients_along_few_and_along_many_directions_are_those_of_a_linear_network(count):
  matrix = RANDOM.normal(size=(6, 5)).astype(np.float32)
  directions = RANDOM.normal(size=(count, 4, 5)).astype(np.float32)
  once = forward_pass(
    lambda x: x.reshape(4, 6) @ matrix, jnp.ones((4, 2, 3, 1)), jnp.zeros(4, jnp.int32)
  )
  for given, same in ((directions, directions), (directions[:, 0], directions[:, :1])):
    wanted = np.broadcast_to(same, directions.shape) @ matrix.T
    gradients = output_gradients(once, jnp.asarray(given))
    np.testing.assert_allclose(gradients.reshape(count, 4, 6), wanted, rtol=1e-5, atol=1e-6)


def penalties(logits_fn, x, y, maps, class_maps, key=KEY):
  """Every one of them, by its public function."""
  model = logits_fn, x, y
  return {
    "class_mean_alignment": objectives.class_mean_alignment(*model),
    "cross_lipschitz_penalty": objectives.cross_lipschitz_penalty(*model),
    "interpretation_direction": objectives.interpretation_direction(*model, maps, threshold=1.0),
    "interpretation_distance": objectives.interpretation_distance(*model, maps),
    "interpretation_magnitude": objectives.interpretation_magnitude(*model),
    "jacobian_penalty": objectives.jacobian_penalty(*model, scaling="batch_root"),
    "jacobian_penalty, squared": objectives.jacobian_penalty(*model),
    "perceptual_alignment": objectives.perceptual_alignment(logits_fn, x, class_maps),
    "projected_jacobian_penalty": objectives.projected_jacobian_penalty(key, *model),
  }


@pytest.mark.parametrize("mode", ["evaluation", pytest.param("training", marks=pytest.mark.slow)])
@pytest.mark.parametrize("problem", [True], indirect=True, ids=["batch norm"])
def test_the_terms_are_the_functions_on_the_pass_asked_for(mode, problem):
  terms = {n: {**settings, "penalty_mode": mode} for n, settings in TERMS_OF_OUTPUTS.items()}
  batch = batch_of(problem)

  @jax.jit
  def both(variables):
    loss_sum = on_one_device(
      lambda: weighted_sum(terms)(keys_of(batch), problem.apply_fn, variables, batch)
    )
    keys = TrainingPasses(keys_of(batch), problem.apply_fn, variables, batch).keys(
      "projected_jacobian_penalty"
    )
    maps = batch.targets["maps"], batch.targets["class_maps"]
    logits_fn = problem.logits_fn(variables["params"], train=mode == "training")
    return loss_sum.metrics, penalties(logits_fn, batch.x, batch.y, *maps, keys)

  metrics, values = both(jax.tree.map(jnp.asarray, problem.variables))
  for name in TERMS_OF_OUTPUTS:
    expected = np.broadcast_to(values[name], 5).sum()  # a norm counts for each example
    np.testing.assert_allclose(metrics[name][0], expected, rtol=1e-10, err_msg=name)


@jax.jit
def values_and_slopes(params, maps):
  given = jnp.full(maps.shape, 0.5), jnp.arange(2), maps, jnp.stack([maps] * CLASSES, axis=-1)

  def values(params):
    return penalties(lambda x: jnp.tanh(x.reshape(2, 4)) @ params, *given)

  return values(params), jax.jacrev(values)(params)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("gradient", ["zero", "not zero"])
@pytest.mark.parametrize("filling", ["zero", "not zero"])
def test_neither_values_nor_slopes_break_at_a_zero_gradient_or_an_empty_map(gradient, filling):
  weights = RANDOM.normal(size=(4, CLASSES)) * (gradient == "not zero")
  maps = RANDOM.normal(size=(2, 2, 2, 1)) * (filling == "not zero")
  values, slopes = values_and_slopes(*(jnp.asarray(a, jnp.float32) for a in (weights, maps)))
  assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((values, slopes)))
  if "zero" in (gradient, filling):
    np.testing.assert_array_equal(values["interpretation_direction"], 1)
    assert not slopes["interpretation_direction"].any()
  if gradient == "zero":
    assert values["interpretation_magnitude"] == 0
    assert not slopes["interpretation_magnitude"].any()


@pytest.mark.slow
@pytest.mark.parametrize("problem", [True], indirect=True, ids=["batch norm"])
def test_padding_reaches_no_term(problem):
  terms = {**TERMS_OF_OUTPUTS, "trades": {"attack": {"name": "pgd", "epsilon": 0.1, "steps": 1}}}
  objective = weighted_sum(terms)

  def loss_and_gradient(rows, mask):
    batch = jax.tree.map(lambda array: array[rows] if np.ndim(array) else array, batch_of(problem))
    batch = batch._replace(mask=jnp.asarray(mask), size=jnp.sum(jnp.asarray(mask)))
    keys = keys_of(batch_of(problem))[: len(rows)]

    def loss(params):
      variables = {**jax.tree.map(jnp.asarray, problem.variables), "params": params}
      return on_one_device(lambda: objective(keys, problem.apply_fn, variables, batch).sum)

    return jax.jit(jax.value_and_grad(loss))(problem.variables["params"])

  alone = loss_and_gradient(np.arange(3), [1.0, 1.0, 1.0])
  padded = loss_and_gradient(np.array([0, 1, 2, 0, 4]), [1.0, 1.0, 1.0, 0.0, 0.0])
  for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(padded), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def hidden(variables, x, **_):
  return jnp.tanh(x.reshape(len(x), 4) @ variables["params"]["in"]) @ variables["params"]["out"], {}


def test_steps_on_eight_devices_are_those_on_one_with_a_whole_and_with_a_short_batch():
  terms = {
    **TERMS_OF_OUTPUTS,
    "trades": {"attack": {"name": "pgd", "epsilon": 0.1, "steps": 1, "unroll": True}},
    "input_gradient_penalty": {"scaling": "batch_root"},
  }
  random = np.random.default_rng(0)
  data = {
    "x": random.uniform(size=(28, 2, 2, 1)),
    "y": random.integers(0, CLASSES, 28),
    "maps": random.normal(size=(28, 2, 2, 1)),
    "class_maps": random.normal(size=(28, 2, 2, 1, CLASSES)),
  }
  params = {"in": random.normal(size=(4, 5)), "out": random.normal(size=(5, CLASSES))}
  objective, optimizer = weighted_sum(terms), optax.sgd(1.0)

  def steps(devices):
    step = map_over_devices(
      make_step(hidden, objective, optimizer, to_float=lambda x: x), jax.devices()[:devices]
    )
    # 12 examples; and the 4 that are left at the end of an epoch, when four devices have none.
    for number in (0, 2):
      indices = batch_indices(number, examples=28, batch_size=12, devices=devices, seed=0)
      state = create_state({"params": jax.tree.map(jnp.asarray, params)}, optimizer, seed=0)
      state, metrics = step(state, data, indices)
      yield jax.tree.map(np.asarray, state.params), jax.tree.map(float, metrics)

  with jax.enable_x64(True):
    for (one, its_metrics), (eight, other_metrics) in zip(steps(1), steps(8), strict=True):
      for name in params:
        assert np.abs(one[name] - params[name]).max() > 0.1
        np.testing.assert_allclose(one[name], eight[name], rtol=1e-10, atol=1e-12)
      assert its_metrics == pytest.approx(other_metrics, rel=1e-10)


def by_torch(torch, name, network, x, y, maps, class_maps, vectors):
  """The terms as the papers' code has them: autograd with the graph kept, PyTorch's cosine."""
  functional = torch.nn.functional
  logits = network(x)

  def back(weights):
    (gradient,) = torch.autograd.grad(logits, x, grad_outputs=weights, create_graph=True)
    return gradient

  def row(k):
    return back(torch.eye(CLASSES, dtype=x.dtype)[torch.full((len(x),), k)])

  def misalignment(gradients, maps):
    return 1 - functional.cosine_similarity(gradients.flatten(1), maps.flatten(1))

  true_row = back(functional.one_hot(y, CLASSES).to(x.dtype))
  if name == "interpretation_direction":
    mean, deviation = maps.mean(dim=(1, 2, 3), keepdim=True), maps.std(dim=(1, 2, 3), keepdim=True)
    kept = torch.where((maps - mean).abs() > deviation, maps, torch.zeros_like(maps))
    return misalignment(true_row, kept)
  if name == "interpretation_magnitude":
    return torch.norm(true_row)
  if name == "interpretation_distance":
    return torch.norm(true_row.abs() - maps)
  if name == "projected_jacobian_penalty":
    return CLASSES / 2 * back(vectors).pow(2).sum(dim=(1, 2, 3))
  rows = [row(k) for k in range(CLASSES)]
  if name == "jacobian_penalty, squared":
    return sum(one.pow(2).sum(dim=(1, 2, 3)) for one in rows)
  if name == "jacobian_penalty":
    return torch.norm(torch.stack(rows))
  if name == "cross_lipschitz_penalty":
    pairs = (one - other for one in rows for other in rows)
    return sum(pair.pow(2).sum(dim=(1, 2, 3)) for pair in pairs) / CLASSES**2
  if name == "class_mean_alignment":
    towards = [x[y == k].mean(dim=0) - x if (y == k).any() else 0 * x for k in range(CLASSES)]
    class_maps = torch.stack(towards, dim=-1).detach()
  values = [misalignment(rows[k], class_maps[..., k]) for k in range(CLASSES)]
  return sum(values) / CLASSES


NAMES = [*TERMS_OF_OUTPUTS, "jacobian_penalty, squared"]


@pytest.mark.peers
def test_values_and_parameter_gradients_agree_with_pytorch_on_copied_weights(problem):
  torch = pytest.importorskip("torch", reason="compares with PyTorch's double backward")
  given = tuple(map(jnp.asarray, (problem.x, problem.y, problem.maps, problem.class_maps)))

  def values(params):
    return penalties(problem.logits_fn(params), *given)

  @jax.jit
  def values_and_gradients(params):
    def totals(params):
      return jax.tree.map(jnp.sum, values(params))

    return values(params), jax.jacrev(totals)(params)

  ours, gradients = values_and_gradients(problem.variables["params"])
  assert set(ours) == set(NAMES)

  keys = example_keys(KEY, len(problem.y))
  vectors = torch.tensor(np.asarray(unit_vectors(keys, (1, CLASSES), problem.x.dtype)[0]))
  for name in NAMES:
    network, copies = torch_network(torch, problem)
    x = torch.tensor(problem.x, requires_grad=True)
    theirs = by_torch(
      torch,
      name,
      network,
      x,
      torch.tensor(problem.y),
      torch.tensor(problem.maps),
      torch.tensor(problem.class_maps),
      vectors,
    )
    theirs.sum().backward()
    np.testing.assert_allclose(ours[name], theirs.detach(), rtol=1e-5, err_msg=name)
    for mine, their in zip(jax.tree.leaves(gradients[name]), jax.tree.leaves(copies), strict=True):
      # A bias that moves no gradient has none of its own in PyTorch.
      grad = torch.zeros_like(their) if their.grad is None else their.grad
      np.testing.assert_allclose(mine, grad, rtol=1e-5, atol=1e-10, err_msg=name)
