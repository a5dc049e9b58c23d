"""How every public array function is called in tests of all of them.

`CASES` says how each is called, `NOT_ARRAY_FUNCTIONS` why a name is not in it.
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from robust_saliency import attacks, attributions, core, objectives

FOLDERS = {
  "core": core,
  "attacks": attacks,
  "attributions": attributions,
  "objectives": objectives,
}

A_TYPE = "a type"
A_TABLE = "a table of functions that are here themselves"
A_LOOK_UP = "finds a function by its name, before anything is traced"
ON_THE_HOST = "takes a whole data set and runs on the host, in batches"
A_REGISTER = "enters a function into a table of names"
A_CHECK = "checks arguments on the host, while a function is traced"

NOT_ARRAY_FUNCTIONS = {
  ("core", "chosen_precision"): "reads a setting",
  (
    "core",
    "compiled_once",
  ): "keeps the programs of a function",
  ("core", "ApplyFn"): A_TYPE,
  ("core", "Attack"): A_TYPE,
  ("core", "Attribution"): A_TYPE,
  ("core", "Bounds"): A_TYPE,
  ("core", "PixelBounds"): A_TYPE,
  ("core", "Key"): A_TYPE,
  ("core", "LogitsFn"): A_TYPE,
  ("core", "Norm"): A_TYPE,
  ("core", "NORMS"): A_TABLE,
  ("core", "checks"): A_CHECK,
  ("core", "registry"): "a module, tables of names",
  ("attacks", "register"): A_REGISTER,
  ("attributions", "register"): A_REGISTER,
  ("core", "get_norm"): A_LOOK_UP,
  ("attacks", "ATTACKS"): A_TABLE,
  ("attacks", "LOSSES"): A_TABLE,
  ("attacks", "Evaluation"): A_TYPE,
  ("attacks", "Passes"): A_TYPE,
  ("attacks", "Verdicts"): A_TYPE,
  ("attacks", "autoattack"): ON_THE_HOST,
  ("attacks", "autoattack_members"): "binds the settings of other attacks",
  ("attacks", "randomized_members"): "binds the settings of other attacks",
  ("attacks", "count_passes"): "counts on the host while an attack runs",
  ("attacks", "evaluate_attacks"): ON_THE_HOST,
  ("attacks", "pitfalls"): "a module, sentences for people",
  ("attacks", "run_attacks"): ON_THE_HOST,
  ("attacks", "get_attack"): A_LOOK_UP,
  ("attacks", "get_loss"): A_LOOK_UP,
  ("attributions", "AGGREGATIONS"): A_TABLE,
  ("attributions", "ATTRIBUTIONS"): A_TABLE,
  ("attributions", "LocalModel"): A_TYPE,
  ("attributions", "Pick"): A_TYPE,
  ("attributions", "global_features"): "a module, k-means by scikit-learn on the host",
  ("attributions", "normlime"): "aggregates the explanations of a data set, without a model",
  ("attributions", "sp_lime"): "picks among the explanations of a data set, without a model",
  ("attributions", "superpixels"): "a module, segmentations by scikit-image on the host",
  ("attributions", "warn_of_low_scores"): "warns people, on the host",
  ("attributions", "SCORES"): A_TABLE,
  ("attributions", "get_attribution"): A_LOOK_UP,
  ("attributions", "get_score"): A_LOOK_UP,
  ("objectives", "Batch"): A_TYPE,
  ("objectives", "ForwardPass"): A_TYPE,
  ("objectives", "Objective"): A_TYPE,
  ("objectives", "LossSum"): A_TYPE,
  ("objectives", "Term"): A_TYPE,
  ("objectives", "TrainingPasses"): A_TYPE,
  ("objectives", "AXIS"): "the name of a mapped axis",
  ("objectives", "register"): "fills a table, before anything is traced",
  ("objectives", "term"): "fills a table, before anything is traced",
  ("objectives", "TERMS"): A_TABLE,
}


@dataclasses.dataclass(frozen=True)
class Problem:
  """What a function is tried on: a small smooth network, images and labels."""

  params: dict[str, Array]
  key: Array
  x: Array
  y: Array

  def logits_fn(self, images: Array) -> Array:
    hidden = jnp.tanh(images.reshape(len(images), -1) @ self.params["inner"])
    return hidden @ self.params["outer"]

  @property
  def model(self) -> tuple:
    return self.key, self.logits_fn, self.x, self.y

  @property
  def logits(self) -> Array:
    return self.logits_fn(self.x)


@dataclasses.dataclass(frozen=True)
class Case:
  """How a function is called.

  Attributes:
    call: (problem, **traced) -> an array.
    traced: hyper-parameter -> two values for `vmap`.
    gradient: whether the result has a gradient to the network's parameters; where it has none,
      the reason.
  """

  call: Callable[..., Array]
  traced: dict[str, list[float]] = dataclasses.field(default_factory=dict)
  gradient: bool | str = True


LIME_NUMBERS = {"alpha": [0.1, 1.0], "kernel_width": [0.25, 1.0], "fill": [0.0, 0.5]}
EPSILON = {"epsilon": [0.05, 0.2]}
STEP_SIZE = {"step_size": [0.01, 0.1]}
STEPS = {"steps": 2, "unroll": False}


def trained_on(attack: Callable[..., Array], **settings) -> Callable[..., Array]:
  """The loss on attacked images, which is what is differentiated of an attack."""

  def loss(problem: Problem, **traced) -> Array:
    x_adv = attack(*problem.model, **settings, **traced)
    return objectives.cross_entropy(problem.logits_fn, x_adv, problem.y)

  return loss


def trained_on_four_classes(attack: Callable[..., Array], **settings) -> Callable[..., Array]:
  """As `trained_on`, for what needs more classes than the problem has."""

  def loss(problem: Problem, **traced) -> Array:
    def logits_fn(images: Array) -> Array:
      return jnp.concatenate([problem.logits_fn(images), problem.logits_fn(images**2)], axis=1)

    x_adv = attack(problem.key, logits_fn, problem.x, problem.y, **settings, **traced)
    return objectives.cross_entropy(logits_fn, x_adv, problem.y)

  return loss


def norm_operations(norm: core.Norm) -> Callable[..., Array]:
  def operations(problem: Problem, radius: Array) -> Array:
    def one(key: Array, v: Array) -> Array:
      moved = norm.project(v + norm.random(key, v.shape, radius), radius)
      return moved + norm.length(v) * norm.steepest(v)

    return jax.vmap(one)(core.example_keys(problem.key, len(problem.x)), problem.logits)

  return operations


def optimizer_step(make: Callable[..., optax.GradientTransformation]) -> Callable[..., Array]:
  def step(problem: Problem, **traced) -> Array:
    optimizer = make(core.L2, bounds=(0.0, 1.0), **traced)
    return optimizer.update(problem.logits, optimizer.init(problem.logits), problem.logits)[0]

  return step


def on_maps(function: Callable[..., Array]) -> Callable[..., Array]:
  return lambda problem, **traced: function(problem.logits_fn(problem.x)[..., None, None], **traced)


def on_logits(function: Callable[..., Array]) -> Callable[..., Array]:
  return lambda problem: function(problem.logits, problem.y)


def explained_by(attribution: Callable[..., Array], **settings) -> Callable[..., Array]:
  return lambda problem, **traced: attribution(*problem.model, **settings, **traced)


def bare_term(term: Callable[..., Array]) -> Callable[..., Array]:
  return lambda problem, **traced: term(problem.logits_fn, problem.x, problem.y, **traced)


def project_to_box(candidate: Array, image: Array) -> Array:
  return jnp.clip(candidate, image - 0.1, image + 0.1)


def taught(term: Callable[..., Array]) -> Callable[..., Array]:
  """A term that takes a teacher's probabilities."""

  def on(problem: Problem, **traced) -> Array:
    targets = jax.nn.softmax(jnp.flip(problem.logits, 1))
    return term(problem.logits_fn, problem.x, targets, **traced)

  return on


def mapped_term(term: Callable[..., Array]) -> Callable[..., Array]:
  """A term that takes a map of each image."""

  def on(problem: Problem, **traced) -> Array:
    maps = jnp.sin(7 * problem.x)
    return term(problem.logits_fn, problem.x, problem.y, maps, **traced)

  return on


def on_class_maps(problem: Problem) -> Array:
  class_maps = jnp.sin(problem.x[..., None] * jnp.array([3.0, 5.0, 7.0]).reshape(1, 1, 1, 1, 3))
  return objectives.perceptual_alignment(problem.logits_fn, problem.x, class_maps)


def gradient_by_forward_pass(problem: Problem) -> Array:
  once = objectives.forward_pass(problem.logits_fn, problem.x, problem.y)
  return once.input_gradient(lambda logits: jnp.sum(logits**2, axis=1))


def every_term(problem: Problem) -> Array:
  objective = objectives.weighted_sum(
    {
      "cross_entropy": {"weight": 0.5},
      "adversarial": {"attack": {"name": "pgd", "epsilon": 0.1, **STEPS}},
      "input_gradient_penalty": {"weight": 0.1},
      "certainty_penalty": {"weight": 0.1},
      "distillation": {},
      "distilled_label_penalty": {"weight": 0.1},
      "entropy_penalty": {"weight": 0.1},
      "class_mean_alignment": {"weight": 0.1},
      "cross_lipschitz_penalty": {"weight": 0.1},
      "interpretation_direction": {"weight": 0.1, "threshold": 0.5},
      "interpretation_distance": {"weight": 0.1},
      "interpretation_magnitude": {"weight": 0.1},
      "jacobian_penalty": {"weight": 0.1, "scaling": "batch_root"},
      "perceptual_alignment": {"weight": 0.1},
      "projected_jacobian_penalty": {"weight": 0.1},
      "trades": {"attack": {"name": "pgd", "epsilon": 0.1, "start_deviation": 0.01, **STEPS}},
    }
  )

  def apply_fn(variables: dict, x: Array, **_) -> tuple[Array, dict]:
    return dataclasses.replace(problem, params=variables["params"]).logits_fn(x), {}

  batch = objectives.Batch(
    problem.x,
    problem.y,
    jnp.ones(len(problem.x)),
    jnp.array(len(problem.x)),
    {
      "soft_targets": jax.nn.softmax(problem.x.reshape(len(problem.x), -1)[:, :3]),
      "maps": jnp.sin(7 * problem.x),
      "class_maps": jnp.sin(jnp.stack([3 * problem.x, 5 * problem.x, 7 * problem.x], axis=-1)),
    },
  )
  keys = core.example_keys(problem.key, len(problem.x))

  def on_one_device(_: Array) -> Array:
    return objective(keys, apply_fn, {"params": problem.params}, batch).sum

  return jax.vmap(on_one_device, axis_name=objectives.AXIS)(jnp.zeros(1))


def relu_network(problem: Problem, images: Array) -> Array:
  return (
    jax.nn.relu(images.reshape(len(images), -1) @ problem.params["inner"])
    @ (problem.params["outer"])
  )


def explained_with_relus(attribution: Callable[..., Array]) -> Callable[..., Array]:
  def explain(problem: Problem, **traced) -> Array:
    network = functools.partial(relu_network, problem)
    return attribution(problem.key, network, problem.x, problem.y, **traced)

  return explain


def explained_by_grad_cam(problem: Problem) -> Array:
  def features(images: Array) -> Array:
    return jnp.sin(images @ problem.params["inner"][:1])

  def head(features: Array) -> Array:
    return features.mean((1, 2)) @ problem.params["outer"]

  return attributions.grad_cam(*problem.model, features_fn=features, head_fn=head, relu=False)


def averaged_draws(problem: Problem, average: Callable):
  def noisy(keys: Array, images: Array) -> Array:
    return problem.logits_fn(images) * (1 + jax.vmap(jax.random.uniform)(keys)[:, None])

  return average(jax.random.key(0), noisy, samples=3, chunk_size=2)


def completeness(problem: Problem, baseline: Array) -> Array:
  maps = attributions.gradient_x_input(*problem.model)
  return attributions.completeness_error(
    problem.logits_fn, problem.x, problem.y, maps, baseline=baseline
  )


def map_of(problem: Problem) -> Array:
  return attributions.gradient(*problem.model)


def measured(measure: Callable[..., Array], *, drawn: bool = False, **settings):
  """A measure of the gradient's map."""

  def call(problem: Problem, **traced) -> Array:
    model = problem.model if drawn else problem.model[1:]
    return measure(*model, map_of(problem), **settings, **traced)

  return call


def randomized_parameters(problem: Problem) -> Array:
  def apply_fn(params: dict, x: Array) -> Array:
    return dataclasses.replace(problem, params=params).logits_fn(x)

  fresh = jax.tree.map(lambda w: w[::-1], problem.params)
  return attributions.parameter_randomization(
    problem.key, apply_fn, problem.params, fresh, problem.x, problem.y, layers=["outer", "inner"]
  )


RANKS = "ranks are whole numbers"
CASES = {
  ("core", "L1"): Case(norm_operations(core.L1), {"radius": [0.0, 0.5]}),
  ("core", "L2"): Case(norm_operations(core.L2), {"radius": [0.0, 0.5]}),
  ("core", "LINF"): Case(norm_operations(core.LINF), {"radius": [0.0, 0.5]}),
  ("core", "detached"): Case(
    lambda problem: core.detached(problem.logits_fn, problem.x)(problem.x),
    gradient="to have none is its purpose",
  ),
  ("core", "example_keys"): Case(
    lambda problem: jax.vmap(jax.random.uniform)(core.example_keys(problem.key, len(problem.x))),
    gradient="keys are integers",
  ),
  ("core", "fold_samples"): Case(
    lambda problem: core.fold_samples(
      lambda numbers, x: numbers[:, None].astype(x.dtype) * problem.logits_fn(x),
      problem.x,
      samples=3,
      chunk_size=2,
    )
  ),
  ("core", "full_precision"): Case(
    lambda problem: core.full_precision(problem.logits_fn)(problem.x)
  ),
  ("core", "map_batches"): Case(
    lambda problem: core.map_batches(problem.logits_fn, problem.x, chunk_size=1)
  ),
  ("core", "repeat"): Case(
    lambda problem: core.repeat(lambda i, z: jnp.sin(z) + i, problem.logits, times=3, unroll=False)
  ),
  ("attacks", "accuracy_curve"): Case(
    lambda problem: attacks.accuracy_curve(problem.logits[:, 0], problem.logits[:, 1]),
    gradient="counts are integers",
  ),
  ("attacks", "apgd"): Case(
    trained_on(attacks.apgd, restarts=2, norm="l2", **STEPS), EPSILON | {"rho": [0.3, 0.75]}
  ),
  ("attacks", "apgd_targeted"): Case(
    trained_on_four_classes(attacks.apgd_targeted, norm="l1", keep="first", **STEPS),
    EPSILON | {"rho": [0.3, 0.75]},
  ),
  ("attacks", "ascend"): Case(
    trained_on(attacks.ascend, optimizer=optax.scale(0.1), project=project_to_box, **STEPS)
  ),
  ("attacks", "ascending"): Case(
    optimizer_step(lambda norm, bounds: attacks.ascending(optax.sgd(0.1)))
  ),
  ("attacks", "averaged_logits"): Case(
    lambda problem: averaged_draws(problem, attacks.averaged_logits)(problem.x)
  ),
  ("attacks", "averaged_loss"): Case(
    lambda problem: averaged_draws(problem, attacks.averaged_loss)[0](problem.x)
  ),
  ("attacks", "bim"): Case(trained_on(attacks.bim, **STEPS), EPSILON | STEP_SIZE),
  ("attacks", "cross_entropy"): Case(on_logits(attacks.cross_entropy)),
  ("attacks", "cw_l2"): Case(
    trained_on(attacks.cw_l2, binary_search_steps=2, **STEPS),
    {
      "epsilon": [0.5, 2.0],
      "initial_constant": [1.0, 10.0],
      "learning_rate": [0.1, 0.3],
      "confidence": [0.0, 0.1],
    },
  ),
  ("attacks", "cw_margin"): Case(on_logits(attacks.cw_margin)),
  ("attacks", "deepfool"): Case(
    trained_on(attacks.deepfool, steps=2), EPSILON | {"overshoot": [0.0, 0.1]}
  ),
  ("attacks", "distances"): Case(
    lambda problem: attacks.distances(
      "l2", problem.logits, 0 * problem.logits, jnp.ones(len(problem.x), bool)
    )
  ),
  ("attacks", "dlr"): Case(on_logits(attacks.dlr)),
  ("attacks", "fab"): Case(
    trained_on(attacks.fab, restarts=2, targets=2, **STEPS),
    EPSILON | {"alpha_max": [0.0, 0.1], "beta": [0.8, 0.9], "eta": [1.0, 1.05]},
  ),
  ("attacks", "fgsm"): Case(trained_on(attacks.fgsm), EPSILON),
  ("attacks", "fmn"): Case(
    trained_on(attacks.fmn, **STEPS),
    EPSILON
    | {
      "step_size": [0.5, 1.0],
      "final_step_size": [0.01, 0.02],
      "gamma": [0.05, 0.1],
      "final_gamma": [0.001, 0.01],
    },
  ),
  ("attacks", "jsma"): Case(
    trained_on(attacks.jsma, chunk_size=2), {"theta": [-0.4, 0.2], "gamma": [0.5, 1.0]}
  ),
  ("attacks", "mim"): Case(
    trained_on(attacks.mim, **STEPS), EPSILON | STEP_SIZE | {"decay": [0.0, 0.9]}
  ),
  ("attacks", "momentum_steps"): Case(
    optimizer_step(attacks.momentum_steps), STEP_SIZE | {"decay": [0.0, 0.9]}
  ),
  ("attacks", "pgd"): Case(
    trained_on(attacks.pgd, restarts=2, norm="l2", **STEPS), EPSILON | STEP_SIZE
  ),
  ("attacks", "square"): Case(
    trained_on(attacks.square, queries=3, restarts=2), EPSILON | {"p_init": [0.1, 0.8]}
  ),
  ("attacks", "steepest_steps"): Case(optimizer_step(attacks.steepest_steps), STEP_SIZE),
  ("attacks", "targeted_dlr"): Case(
    lambda problem: attacks.targeted_dlr(
      jnp.tile(problem.logits, 2), problem.y, (problem.y + 1) % 3
    )
  ),
  ("attacks", "tgsm"): Case(trained_on(attacks.tgsm, **STEPS), EPSILON),
  ("attacks", "with_surrogate_gradient"): Case(
    lambda problem: attacks.with_surrogate_gradient(jnp.sign, jnp.tanh)(problem.logits)
  ),
  ("attributions", "absolute"): Case(on_maps(attributions.absolute)),
  ("attributions", "alignment"): Case(
    lambda problem: attributions.alignment(attributions.gradient(*problem.model), problem.x)
  ),
  ("attributions", "gini"): Case(on_maps(attributions.gini)),
  ("attributions", "total_variation"): Case(on_maps(attributions.total_variation)),
  ("attributions", "channel_sum"): Case(on_maps(attributions.channel_sum)),
  ("attributions", "clip_percentile"): Case(
    on_maps(attributions.clip_percentile), {"percentile": [60.0, 90.0]}
  ),
  ("attributions", "completeness_error"): Case(completeness, {"baseline": [0.0, 0.5]}),
  ("attributions", "cross_entropy"): Case(on_logits(attributions.cross_entropy)),
  ("attributions", "deconvnet"): Case(explained_with_relus(attributions.deconvnet)),
  ("attributions", "expected_gradients"): Case(
    lambda problem: attributions.expected_gradients(
      *problem.model, background=jnp.zeros((2, 2, 2, 1)), samples=3, unroll=False
    )
  ),
  ("attributions", "feature_ablation"): Case(
    explained_by(attributions.feature_ablation, segments=np.array([[0, 1], [1, 2]])),
    {"baseline": [0.0, 0.5]},
  ),
  ("attributions", "grad_cam"): Case(explained_by_grad_cam),
  ("attributions", "gradient"): Case(explained_by(attributions.gradient)),
  ("attributions", "gradient_x_input"): Case(explained_by(attributions.gradient_x_input)),
  ("attributions", "guided_backprop"): Case(explained_with_relus(attributions.guided_backprop)),
  ("attributions", "integrated_gradients"): Case(
    explained_by(attributions.integrated_gradients, **STEPS), {"baseline": [0.0, 0.5]}
  ),
  ("attributions", "explain_locally"): Case(
    lambda problem, **traced: (
      attributions.explain_locally(
        *problem.model, segments="pixels", samples=20, **traced
      ).coefficients
    ),
    LIME_NUMBERS,
  ),
  ("attributions", "lime"): Case(
    explained_by(attributions.lime, segments="pixels", samples=20), LIME_NUMBERS
  ),
  ("attributions", "log_probability"): Case(on_logits(attributions.log_probability)),
  ("attributions", "logit"): Case(on_logits(attributions.logit)),
  ("attributions", "area_under_curve"): Case(
    lambda problem: attributions.area_under_curve(problem.logits)
  ),
  ("attributions", "deletion_curve"): Case(
    measured(attributions.deletion_curve, steps=3), {"baseline": [0.0, 0.5]}
  ),
  ("attributions", "insertion_curve"): Case(
    measured(attributions.insertion_curve, steps=3), {"baseline": [0.0, 0.5]}
  ),
  ("attributions", "infidelity"): Case(
    measured(attributions.infidelity, drawn=True, samples=3, scaled=True, unroll=False),
    {"noise_level": [0.1, 0.2]},
  ),
  ("attributions", "sensitivity_max"): Case(
    explained_by(attributions.sensitivity_max, samples=3, unroll=False), {"radius": [0.0, 0.2]}
  ),
  ("attributions", "parameter_randomization"): Case(randomized_parameters, gradient=RANKS),
  ("attributions", "rank_correlation"): Case(
    lambda problem: attributions.rank_correlation(map_of(problem), problem.x), gradient=RANKS
  ),
  ("attributions", "deeplift"): Case(
    explained_with_relus(attributions.deeplift), {"baseline": [0.0, 0.3]}
  ),
  ("attributions", "lrp"): Case(explained_with_relus(attributions.lrp), {"epsilon": [0.0, 0.3]}),
  ("attributions", "margin"): Case(on_logits(attributions.margin)),
  ("attributions", "uniform_cross_entropy"): Case(on_logits(attributions.uniform_cross_entropy)),
  ("attributions", "occlusion"): Case(
    explained_by(attributions.occlusion, window=1, stride=1), {"baseline": [0.0, 0.5]}
  ),
  ("attributions", "rise"): Case(
    explained_by(attributions.rise, samples=3, cells=2, unroll=False),
    {"baseline": [0.0, 0.5], "keep": [0.3, 1.0]},
  ),
  ("attributions", "probability"): Case(on_logits(attributions.probability)),
  ("attributions", "scale"): Case(on_maps(attributions.scale)),
  ("attributions", "smoothgrad"): Case(
    explained_by(attributions.smoothgrad, samples=3, unroll=False), {"noise_level": [0.0, 0.2]}
  ),
  ("attributions", "smoothgrad_squared"): Case(
    explained_by(attributions.smoothgrad_squared, samples=3, unroll=False),
    {"noise_level": [0.0, 0.2]},
  ),
  ("attributions", "vargrad"): Case(
    explained_by(attributions.vargrad, samples=3, unroll=False), {"noise_level": [0.0, 0.2]}
  ),
  ("attributions", "with_relu_rule"): Case(
    lambda problem: attributions.with_relu_rule(
      functools.partial(relu_network, problem), lambda z, g: g
    )(problem.x)
  ),
  ("attributions", "weighted_ridge"): Case(
    lambda problem, alpha: (
      attributions.weighted_ridge(
        (problem.x.reshape(len(problem.x), -1) > 0.5).astype(jnp.float32),
        problem.logits,
        jnp.ones(len(problem.x)),
        alpha=alpha,
      ).coefficients
    ),
    {"alpha": [0.1, 1.0]},
  ),
  ("objectives", "adversarial"): Case(
    lambda problem, clean_weight: objectives.adversarial(
      *problem.model,
      attack=lambda *model: attacks.pgd(*model, epsilon=0.1, **STEPS),
      clean_weight=clean_weight,
    ),
    {"clean_weight": [0.0, 0.5]},
  ),
  ("objectives", "certainty_penalty"): Case(bare_term(objectives.certainty_penalty)),
  ("objectives", "class_mean_alignment"): Case(bare_term(objectives.class_mean_alignment)),
  ("objectives", "cross_lipschitz_penalty"): Case(bare_term(objectives.cross_lipschitz_penalty)),
  ("objectives", "interpretation_direction"): Case(
    mapped_term(objectives.interpretation_direction), {"threshold": [0.5, 1.0]}
  ),
  ("objectives", "interpretation_distance"): Case(
    mapped_term(objectives.interpretation_distance), {"threshold": [0.5, 1.0]}
  ),
  ("objectives", "interpretation_magnitude"): Case(bare_term(objectives.interpretation_magnitude)),
  ("objectives", "jacobian_penalty"): Case(bare_term(objectives.jacobian_penalty)),
  ("objectives", "perceptual_alignment"): Case(on_class_maps),
  ("objectives", "projected_jacobian_penalty"): Case(
    lambda problem: objectives.projected_jacobian_penalty(*problem.model)
  ),
  ("objectives", "trades"): Case(
    lambda problem: objectives.trades(
      *problem.model, attack=functools.partial(attacks.pgd, epsilon=0.1, **STEPS)
    )
  ),
  ("objectives", "cross_entropy"): Case(
    bare_term(objectives.cross_entropy), {"temperature": [1.0, 3.0]}
  ),
  ("objectives", "distillation"): Case(
    taught(objectives.distillation), {"temperature": [1.0, 3.0]}
  ),
  ("objectives", "distilled_label_penalty"): Case(taught(objectives.distilled_label_penalty)),
  ("objectives", "entropy_penalty"): Case(bare_term(objectives.entropy_penalty)),
  ("objectives", "forward_pass"): Case(gradient_by_forward_pass),
  ("objectives", "input_gradient_penalty"): Case(bare_term(objectives.input_gradient_penalty)),
  ("objectives", "weighted_sum"): Case(every_term),
}
