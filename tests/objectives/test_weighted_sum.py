from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from robust_saliency import models, objectives
from robust_saliency.attacks import fgsm
from robust_saliency.objectives import AXIS, TERMS, Batch, weighted_sum

FGSM = {"name": "fgsm", "epsilon": 0.1}
PGD = {"name": "pgd", "epsilon": 0.1, "steps": 2, "step_size": 0.05, "keep": "last"}


def batch_of(problem, mask=None, soft_targets=None):
  mask = jnp.ones(len(problem.y)) if mask is None else jnp.asarray(mask)
  targets = {"maps": jnp.asarray(problem.maps), "class_maps": jnp.asarray(problem.class_maps)}
  if soft_targets is not None:
    targets["soft_targets"] = soft_targets
  return Batch(jnp.asarray(problem.x), jnp.asarray(problem.y), mask, jnp.sum(mask), targets)


def keys_of(batch):
  return jax.random.split(jax.random.key(0), len(batch.y))


def loss_sum_of(problem, terms, batch=None, apply_fn=None):
  batch = batch_of(problem) if batch is None else batch
  variables = jax.tree.map(jnp.asarray, problem.variables)
  return on_one_device(
    lambda: weighted_sum(terms)(keys_of(batch), apply_fn or problem.apply_fn, variables, batch)
  )


def on_one_device(function):
  """Its result where "batch" is a mapped axis, as in a step."""
  result = jax.vmap(lambda _: function(), axis_name=AXIS)(jnp.zeros(1))
  return jax.tree.map(lambda leaf: leaf[0], result)


SOFT_TARGETS = np.random.default_rng(1).dirichlet(np.ones(3), 5)


def distilled_label_penalty(logits_fn, x, y, **settings):
  return objectives.distilled_label_penalty(logits_fn, x, jnp.asarray(SOFT_TARGETS), **settings)


BARE = {
  "distilled_label_penalty": distilled_label_penalty,
  "entropy_penalty": objectives.entropy_penalty,
  "cross_entropy": objectives.cross_entropy,
  "input_gradient_penalty": objectives.input_gradient_penalty,
  "certainty_penalty": objectives.certainty_penalty,
}


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize(
  "terms",
  [
    {"cross_entropy": {}},
    {"cross_entropy": {"weight": 0.5, "temperature": 3.0}},
    {"cross_entropy": {}, "input_gradient_penalty": {"weight": 2.0}},
    {"cross_entropy": {}, "input_gradient_penalty": {"weight": 2.0, "scaling": "batch_mean"}},
    {"certainty_penalty": {"weight": 0.1}, "cross_entropy": {"weight": 3}},
    {"input_gradient_penalty": {"scaling": "batch_root"}, "certainty_penalty": {}},
    {"distilled_label_penalty": {"weight": 0.1}, "entropy_penalty": {"scaling": "batch_mean"}},
  ],
)
def test_loss_is_the_weighted_sum_of_the_bare_terms(terms, problem):
  loss_sum = loss_sum_of(problem, terms, batch_of(problem, soft_targets=jnp.asarray(SOFT_TARGETS)))
  expected = 0
  for name, settings in terms.items():
    others = {key: value for key, value in settings.items() if key != "weight"}
    term = BARE[name](problem.logits_fn(), jnp.asarray(problem.x), jnp.asarray(problem.y), **others)
    total = jnp.sum(jnp.broadcast_to(term, 5))  # a norm over the batch counts for each example
    np.testing.assert_allclose(loss_sum.metrics[name][0], total, rtol=1e-10)
    expected += settings.get("weight", 1.0) * total
  np.testing.assert_allclose(loss_sum.sum, expected, rtol=1e-10)
  np.testing.assert_allclose(loss_sum.metrics["loss"][0], expected, rtol=1e-10)
  assert loss_sum.weight == 5
  assert all(weight == 5 for _, weight in loss_sum.metrics.values())


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize("name", [name for name in BARE if name.endswith("penalty")])
def test_penalties_are_taken_on_the_pass_asked_for(name, problem):
  batch = batch_of(problem, soft_targets=jnp.asarray(SOFT_TARGETS))
  for mode in ("training", "evaluation"):
    loss_sum = loss_sum_of(problem, {"cross_entropy": {}, name: {"penalty_mode": mode}}, batch)
    expected = BARE[name](problem.logits_fn(train=mode == "training"), batch.x, batch.y)
    np.testing.assert_allclose(loss_sum.metrics[name][0], jnp.sum(expected), rtol=1e-10)
  with pytest.raises(ValueError, match="penalty_mode must be one of training, evaluation"):
    loss_sum_of(problem, {name: {"penalty_mode": "both"}}, batch)


def test_adversarial_term_is_the_loss_at_the_attacked_images(problem):
  loss_sum = loss_sum_of(problem, {"adversarial": {"attack": FGSM, "attack_mode": "evaluation"}})
  batch = batch_of(problem)
  x_adv = fgsm(
    jax.random.key(0), problem.logits_fn(train=False), batch.x, batch.y, epsilon=FGSM["epsilon"]
  )
  loss = objectives.cross_entropy(problem.logits_fn(), x_adv, batch.y)
  np.testing.assert_allclose(loss_sum.sum, jnp.sum(loss), rtol=1e-10)
  correct = jnp.argmax(problem.logits_fn()(x_adv), axis=-1) == batch.y
  assert loss_sum.metrics["adversarial_accuracy"][0] == jnp.sum(correct)
  assert "accuracy" not in loss_sum.metrics


@pytest.mark.quick_cases(1)
def test_the_attack_sees_the_network_in_the_mode_asked_for(problem):
  losses = {
    mode: loss_sum_of(problem, {"adversarial": {"attack": FGSM, "attack_mode": mode}}).sum
    for mode in ("training", "evaluation")
  }
  batch = batch_of(problem)
  x_adv = fgsm(jax.random.key(0), problem.logits_fn(train=True), batch.x, batch.y, epsilon=0.1)
  loss = objectives.cross_entropy(problem.logits_fn(), x_adv, batch.y)
  np.testing.assert_allclose(losses["training"], jnp.sum(loss), rtol=1e-10)
  assert (losses["training"] == losses["evaluation"]) == (not problem.batch_norm)


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize(("step", "share"), [(0, 0.25), (2, 0.75), (3, 1.0), (9, 1.0)])
def test_the_perturbation_grows_to_its_size(step, share, problem):
  batch = batch_of(problem)._replace(step=step)
  attacked = {"attack": {**FGSM, "bounds": (-10.0, 10.0)}}
  grown = loss_sum_of(problem, {"adversarial": {**attacked, "ramp_steps": 4}}, batch)
  # Far from the pixel bounds FGSM's perturbation is epsilon times a sign.
  smaller = {"attack": {**attacked["attack"], "epsilon": share * FGSM["epsilon"]}}
  expected = loss_sum_of(problem, {"adversarial": smaller}, batch).sum
  np.testing.assert_allclose(grown.sum, expected, rtol=1e-6)
  at_once = loss_sum_of(problem, {"adversarial": attacked}, batch).sum
  assert (grown.sum == at_once) == (share == 1)


def test_the_attack_is_given_the_classes_asked_for(problem):
  batch = batch_of(problem)
  predicted = jnp.argmax(problem.logits_fn(train=False)(batch.x), axis=-1)
  assert (predicted != batch.y).any()
  x_adv = fgsm(jax.random.key(0), problem.logits_fn(train=False), batch.x, predicted, epsilon=0.1)
  loss = objectives.cross_entropy(problem.logits_fn(), x_adv, batch.y)
  loss_sum = loss_sum_of(problem, {"adversarial": {"attack": FGSM, "attack_labels": "predicted"}})
  np.testing.assert_allclose(loss_sum.sum, jnp.sum(loss), rtol=1e-10)


def test_distillation_term_takes_the_batch_s_soft_targets(problem):
  targets = jax.nn.softmax(jax.random.normal(jax.random.key(1), (5, 3)))
  batch = batch_of(problem, soft_targets=targets)
  loss_sum = loss_sum_of(problem, {"distillation": {"temperature": 4.0}}, batch)
  loss = objectives.distillation(problem.logits_fn(), batch.x, targets, temperature=4.0)
  np.testing.assert_allclose(loss_sum.sum, jnp.sum(loss), rtol=1e-10)


# Each term once, as in a config.
EACH_TERM = {
  "cross_entropy": {"temperature": 2.0},
  "adversarial": {"attack": FGSM, "attack_mode": "training"},
  "distillation": {"temperature": 3.0},
  "input_gradient_penalty": {},
  "certainty_penalty": {"scaling": "batch_mean"},
  "distilled_label_penalty": {"penalty_mode": "evaluation"},
  "entropy_penalty": {},
  "class_mean_alignment": {"output": "log_probabilities"},
  "cross_lipschitz_penalty": {},
  "interpretation_direction": {"threshold": 0.5, "output": "probabilities"},
  "interpretation_distance": {},
  "interpretation_magnitude": {"penalty_mode": "evaluation"},
  "jacobian_penalty": {"scaling": "batch_root"},
  "perceptual_alignment": {},
  "projected_jacobian_penalty": {"projections": 2},
  "trades": {"attack": {**PGD, "start_deviation": 0.01}},
}


@pytest.mark.quick_cases(4)
@pytest.mark.parametrize("problem", [True], indirect=True, ids=["batch norm"])
@pytest.mark.parametrize("name", TERMS)
def test_parameter_gradients_of_every_term_by_finite_differences(name, problem):
  batch = batch_of(problem, [1, 1, 1, 1, 0], soft_targets=jnp.asarray(SOFT_TARGETS))
  objective = weighted_sum({name: {**EACH_TERM[name], "weight": 2.0}})
  variables = jax.tree.map(jnp.asarray, problem.variables)

  @jax.jit
  def total(params):
    given = {**variables, "params": params}
    return on_one_device(lambda: objective(keys_of(batch), problem.apply_fn, given, batch).sum)

  params = problem.variables["params"]
  gradient = jax.jit(jax.grad(total))(params)
  for seed in range(3):
    random = np.random.default_rng(seed)
    direction = jax.tree.map(lambda leaf, r=random: r.normal(size=leaf.shape), params)
    sides = [
      float(total(jax.tree.map(lambda leaf, d, t=t: leaf + t * d, params, direction)))
      for t in (1e-5, -1e-5)
    ]
    slope = sum(jax.tree.leaves(jax.tree.map(lambda g, d: np.vdot(g, d), gradient, direction)))
    assert abs(slope) > 1e-6
    np.testing.assert_allclose(slope, (sides[0] - sides[1]) / 2e-5, rtol=1e-5)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("mode", ["training", "evaluation"])
def test_padding_changes_nothing(mode, problem):
  terms = {
    "cross_entropy": {},
    "input_gradient_penalty": {"scaling": "batch_mean"},
    "certainty_penalty": {},
    "adversarial": {"attack": FGSM, "attack_mode": mode},
  }

  def gradient_and_loss_sum(rows, mask):
    batch = batch_of(problem, mask=mask)
    batch = batch._replace(x=batch.x[rows], y=batch.y[rows], mask=jnp.asarray(mask, float))
    batch = batch._replace(size=jnp.sum(batch.mask))
    variables = jax.tree.map(jnp.asarray, problem.variables)

    def loss(params):
      loss_sum = weighted_sum(terms)(
        keys_of(batch), problem.apply_fn, {**variables, "params": params}, batch
      )
      return loss_sum.sum, loss_sum

    return jax.grad(loss, has_aux=True)(variables["params"])

  alone = gradient_and_loss_sum(np.arange(3), [1, 1, 1])
  padded = gradient_and_loss_sum(np.array([0, 1, 2, 0, 4]), [1, 1, 1, 0, 0])
  for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(padded), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.quick_cases(1)
@pytest.mark.parametrize("order", [1, -1])
def test_both_passes_update_the_running_statistics_in_turn(order, problem):
  terms = {"cross_entropy": {}, "adversarial": {"attack": FGSM}}
  loss_sum = loss_sum_of(problem, dict([*terms.items()][::order]))
  batch, variables = batch_of(problem), jax.tree.map(jnp.asarray, problem.variables)
  x_adv = fgsm(jax.random.key(0), problem.logits_fn(train=False), batch.x, batch.y, epsilon=0.1)
  for x in (batch.x, x_adv):
    _, collections = problem.apply_fn(variables, x, train=True)
    variables = {**variables, **collections}
  ours, expected = loss_sum.collections["batch_stats"], variables["batch_stats"]
  assert jax.tree.structure(ours) == jax.tree.structure(expected)
  for a, b in zip(jax.tree.leaves(ours), jax.tree.leaves(expected), strict=True):
    np.testing.assert_allclose(a, b, rtol=1e-10)


class Recorder:
  """A network that notes how it is called."""

  def __init__(self, problem):
    self.calls, self._apply_fn = [], problem.apply_fn

  def __call__(self, variables, x, **settings):
    self.calls.append("train" if settings.get("train") else "evaluate")
    return self._apply_fn(variables, x, **settings)


def test_terms_share_one_clean_pass(problem):
  recorder = Recorder(problem)
  terms = {"cross_entropy": {}, "input_gradient_penalty": {}, "certainty_penalty": {}}
  loss_sum_of(problem, terms, apply_fn=recorder)
  assert recorder.calls == ["train"]


def test_adversarial_training_on_attacked_images_alone_runs_no_clean_pass(problem):
  recorder = Recorder(problem)
  loss_sum_of(problem, {"adversarial": {"attack": FGSM}}, apply_fn=recorder)
  assert recorder.calls.count("train") == 1
  assert recorder.calls[-1] == "train"


HALVES = {"cross_entropy": {"weight": 0.5}}


@pytest.mark.parametrize("labels", ["true", "predicted"])
def test_fgsm_in_training_mode_follows_the_gradient_of_the_clean_pass(labels):
  random = np.random.default_rng(0)
  weights, x, y = (
    random.normal(size=(4, 3)),
    random.uniform(0.3, 0.7, (6, 2, 2, 1)),
    np.arange(6) % 3,
  )

  def apply_fn(variables, x, *, dropout_keys, **_):
    kept = jax.vmap(lambda key: jax.random.bernoulli(key, 0.5, (2, 2, 1)))(dropout_keys)
    logits = (2 * x * kept).reshape(6, 4) @ variables["params"]
    return logits, {"passes": [*variables.get("passes", []), (x, kept)]}

  batch = Batch(*map(jnp.asarray, (x, y, np.ones(6), 6)))
  adversarial = {"attack": FGSM, "attack_labels": labels, "attack_mode": "training"}
  objective = weighted_sum({"adversarial": adversarial, **HALVES})
  with jax.enable_x64(True):
    loss_sum = objective(keys_of(batch), apply_fn, {"params": jnp.asarray(weights)}, batch)
  (clean, kept), (attacked, kept_then) = jax.tree.map(np.asarray, loss_sum.collections["passes"])
  assert (kept != kept_then).any()  # the loss at the attacked images has a mask of its own
  # Softmax regression on the pixels that the clean pass has kept: 2 W (p - y), and 0 elsewhere.
  logits = (2 * x * kept).reshape(6, 4) @ weights
  classes = y if labels == "true" else logits.argmax(axis=1)
  assert labels == "true" or (classes != y).any()
  slope = (softmax(logits, axis=1) - np.eye(3)[classes]) @ weights.T
  moved = x + FGSM["epsilon"] * np.sign(slope).reshape(x.shape) * kept
  np.testing.assert_allclose(clean, x, rtol=1e-6)
  np.testing.assert_allclose(attacked, moved, rtol=1e-6)


def forward_passes(terms):
  """How often one step of training runs the network forward, by its convolutions."""
  apply_fn = models.apply_fn(StockNetwork())
  variables = models.init(StockNetwork(), jax.random.key(0), (4, 4, 1))
  batch = Batch(jnp.ones((5, 4, 4, 1)), jnp.zeros(5, int), jnp.ones(5), jnp.array(5))
  traced = jax.make_jaxpr(
    lambda params: weighted_sum(terms)(keys_of(batch), apply_fn, {"params": params}, batch).sum
  )
  count = convolutions_in(traced(variables["params"]).jaxpr)
  steps = terms["adversarial"]["attack"].get("steps", 1)
  return (count - 2 * steps) // 2  # of two layers, and each step back to the pixels


@pytest.mark.quick_cases(2)
@pytest.mark.parametrize(
  ("attack", "mode", "terms", "passes"),
  [
    (FGSM, "training", HALVES, 2),  # clean and attacked
    ({"name": "tgsm", "epsilon": 0.1}, "training", HALVES, 2),
    ({"name": "fgsm", "epsilon": 0.1, "norm": "l2", "loss": "cw_margin"}, "training", HALVES, 2),
    (FGSM, "evaluation", HALVES, 3),  # those of other attacks see the network anew
    (FGSM, "training", {}, 2),  # there is no clean pass
    ({"name": "tgsm", "epsilon": 0.1, "steps": 2, "unroll": True}, "training", HALVES, 4),
  ],
)
def test_one_step_in_training_mode_saves_a_forward_pass(attack, mode, terms, passes):
  adversarial = {"attack": attack, "attack_mode": mode}
  assert forward_passes({**terms, "adversarial": adversarial}) == passes


def convolutions_in(jaxpr):
  count = 0
  for equation in jaxpr.eqns:
    count += equation.primitive.name == "conv_general_dilated"
    for inner in jax.tree.leaves(
      equation.params, is_leaf=lambda p: hasattr(p, "jaxpr") or hasattr(p, "eqns")
    ):
      if hasattr(inner, "jaxpr"):
        inner = inner.jaxpr
      if hasattr(inner, "eqns"):
        count += convolutions_in(inner)
  return count


class StockNetwork(nn.Module):
  @nn.compact
  def __call__(self, x, train=False, mask=None, dropout_keys=None):
    for width in (4, 5):
      x = jnp.tanh(nn.Conv(width, (3, 3))(x))
    return nn.Dense(3)(x.reshape(len(x), -1))


@pytest.mark.slow
def test_cross_entropy_with_a_penalty_costs_one_double_backprop():
  apply_fn = models.apply_fn(StockNetwork())
  variables = models.init(StockNetwork(), jax.random.key(0), (4, 4, 1))
  batch = Batch(jnp.ones((5, 4, 4, 1)), jnp.zeros(5, int), jnp.ones(5), jnp.array(5))
  objective = weighted_sum({"cross_entropy": {}, "input_gradient_penalty": {"weight": 2.0}})

  def ours(params):
    return objective(keys_of(batch), apply_fn, {**variables, "params": params}, batch).sum

  def by_hand(params):
    def loss(x):
      logits, _ = apply_fn({"params": params}, x, train=True)
      return jnp.sum(objectives.cross_entropy(lambda _: logits, x, batch.y))

    value, slope = jax.value_and_grad(loss)(batch.x)
    return value + 2.0 * jnp.sum(slope**2)

  params = variables["params"]
  counts = [convolutions_in(jax.make_jaxpr(jax.grad(f))(params).jaxpr) for f in (ours, by_hand)]
  assert counts[0] == counts[1] > 4
  for a, b in zip(
    jax.tree.leaves(jax.grad(ours)(params)), jax.tree.leaves(jax.grad(by_hand)(params)), strict=True
  ):
    np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
  ("terms", "sentence"),
  [
    ({}, "objective needs at least one term of cross_entropy, adversarial, "),
    ({"cross_entopy": {}}, r"got 'cross_entopy' \(did you mean 'cross_entropy'\?\)"),
    ({"cross_entropy": {"wieght": 2}}, r"got 'wieght'"),
    ({"cross_entropy": {"weight": -1.0}}, "weight must be >= 0, got -1.0"),
    ({"adversarial": {}}, "term 'adversarial' needs the setting 'attack', which is missing"),
    ({"adversarial": {"attack": {}}}, "attack needs a name, one of"),
    ({"adversarial": {"attack": {"name": "pgd"}}}, "'pgd' needs the setting 'epsilon'"),
    ({"adversarial": {"attack": {"name": "pdg"}}}, r"got 'pdg' \(did you mean 'pgd'\?\)"),
    ({"adversarial": {"attack": {"name": "pgd", "epsilom": 1}}}, "did you mean 'epsilon'"),
  ],
)
def test_terms_that_make_no_objective_are_refused(terms, sentence):
  with pytest.raises(ValueError, match=sentence):
    weighted_sum(terms)


@pytest.mark.parametrize(
  ("terms", "sentence"),
  [
    ({"distillation": {}}, "the term 'distillation' needs a teacher"),
    (
      {"adversarial": {"attack": FGSM, "attack_mode": "test"}},
      "attack_mode must be one of training, evaluation; got 'test'",
    ),
    (
      {"adversarial": {"attack": FGSM, "attack_labels": "guessed"}},
      "attack_labels must be one of true, predicted; got 'guessed'",
    ),
    ({"adversarial": {"attack": FGSM, "ramp_steps": -1}}, "ramp_steps must be >= 0, got -1"),
    ({"certainty_penalty": {"scaling": "sum"}}, "scaling must be one of per_example, batch_mean"),
    ({"cross_entropy": {"temperature": 0}}, "temperature must be > 0, got 0"),
    (
      {"adversarial": {"attack": {"name": "fgsm", "epsilon": -0.1}}},
      "epsilon must be >= 0, got -0.1",
    ),
  ],
)
@pytest.mark.parametrize("problem", [False], indirect=True)
def test_settings_that_a_term_does_not_have_are_refused_when_it_is_traced(terms, sentence, problem):
  with pytest.raises(ValueError, match=sentence):
    jax.eval_shape(partial(loss_sum_of, problem, terms))
