"""Which kind each argument of the public functions is of, and what each function is given else.

By hand: a function or an argument that is not here fails `test_every_argument_has_its_kind`.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from robust_saliency import attacks, attributions, core, objectives

CLASSES = 4
_random = np.random.default_rng(0)
_INNER = jnp.asarray(_random.normal(size=(16, 8)), jnp.float32)
_OUTER = jnp.asarray(_random.normal(size=(8, CLASSES)), jnp.float32)
X = jnp.asarray(_random.uniform(0.2, 0.8, (2, 4, 4, 1)), jnp.float32)
Y = jnp.array([0, 3])


def network(x: Any) -> Any:
  """A small network with a ReLU, which some attributions need."""
  return jax.nn.relu(x.reshape(x.shape[0], 16) @ _INNER) @ _OUTER


def randomized(keys: Any, x: Any) -> Any:
  """A network that draws random numbers."""
  return network(x) * (1 + 0.1 * jax.vmap(jax.random.uniform)(keys)[:, None])


LOGITS = network(X)
TARGETS = jax.nn.softmax(LOGITS)
CLASS_MAPS = jnp.stack([X] * CLASSES, axis=-1)
FGSM = functools.partial(attacks.fgsm, epsilon=0.1)

# Argument, or function.argument -> its kind, and the types that it allows all the same.
KINDS: dict[str, tuple[str, ...]] = {
  "key": ("key",),
  "logits_fn": ("network",),
  "randomized_logits_fn": ("function",),  # it is called later
  "with_relu_rule.logits_fn": ("function",),
  "x": ("images",),
  "y": ("labels",),
  "explain_locally.y": ("labels", "several labels each"),
  "logits": ("logits",),
  "target": ("labels",),
  "targets": ("count",),  # of attacks: how many classes are tried
  "fab.targets": ("count", "none"),  # all of them
  "distillation.targets": ("probabilities",),
  "distilled_label_penalty.targets": ("probabilities",),
  "epsilon": ("number >= 0",),
  "run_attacks.epsilon": ("number >= 0", "none"),
  "norm": ("norm",),
  "register.norm": ("text",),
  "register.version": ("count",),
  "bounds": ("bounds",),
  "steps": ("count",),
  "binary_search_steps": ("count",),
  "restarts": ("count",),
  "samples": ("count",),
  "queries": ("count",),
  "candidates": ("count",),
  "batch_size": ("count",),
  "chunk_size": ("count",),
  "probed": ("count or zero",),
  "classes": ("count",),
  "cells": ("count",),
  "window": ("count",),
  "stride": ("count",),
  "num_segments": ("count",),
  "num_features": ("count",),
  "max_features": ("count",),
  "budget": ("count",),
  "target_offset": ("whole number",),
  "channel_axis": ("whole number",),
  "step_size": ("number >= 0",),
  "final_step_size": ("number >= 0",),
  "decay": ("number >= 0",),
  "rho": ("fraction",),
  "alpha_max": ("fraction",),
  "beta": ("fraction",),
  "eta": ("number >= 0",),
  "gamma": ("number >= 0",),
  "final_gamma": ("number >= 0",),
  "theta": ("number",),
  "overshoot": ("number >= 0",),
  "initial_constant": ("number > 0",),
  "learning_rate": ("number > 0",),
  "confidence": ("number >= 0",),
  "p_init": ("fraction",),
  "noise_level": ("number >= 0",),
  "include_clean": ("flag",),
  "clip": ("flag",),
  "baseline": ("number",),
  "fill": ("number",),
  "kernel_width": ("number > 0",),
  "alpha": ("number >= 0",),
  "radius": ("number >= 0",),
  "percentile": ("number >= 0",),
  "threshold": ("number",),
  "temperature": ("number > 0",),
  "clean_weight": ("fraction",),
  # One for each channel, of images that are not there yet.
  "steepest_steps.step_size": ("number >= 0", "list of numbers", "numbers in an array"),
  "autoattack_members.epsilon": ("number >= 0", "list of numbers", "numbers in an array"),
  "randomized_members.epsilon": ("number >= 0", "list of numbers", "numbers in an array"),
  "momentum_steps.step_size": ("number >= 0", "list of numbers", "numbers in an array"),
  # The loop itself, which all attacks look at their arguments before.
  "ascend.y": ("labels", "no labels"),
  "ascend.logits_fn": ("function",),
  "rise.keep": ("fraction",),
  "keep": ("name",),
  "random_start": ("flag",),
  "targeted": ("flag",),
  "in_turn": ("flag",),
  "count": ("flag",),
  "fresh": ("flag",),
  "relu": ("flag",),
  "per_class": ("flag",),
  "signed": ("flag", "function"),
  "one_step": ("flag", "function"),
  "scaled": ("flag",),
  "absolute": ("flag",),
  "cascading": ("flag",),
  "constant_labels": ("flag",),
  "output": ("name",),
  "start_deviation": ("number > 0",),
  "interpretation_direction.threshold": ("number >= 0",),
  "interpretation_distance.threshold": ("number >= 0",),
  "projections": ("count",),
  "class_maps": ("maps",),
  "class_images": ("images",),
  "unroll": ("unroll", "negative", "two"),
  "loss": ("name or function",),
  "score": ("name or function",),
  "distance": ("name",),
  "selection": ("name",),
  "version": ("name",),
  "rule": ("name",),
  "with_relu_rule.rule": ("function",),
  "scaling": ("name",),
  "attack_labels": ("name",),
  "segments": ("segments",),
  "optimizer": ("function",),
  "initialize": ("function",),
  "project": ("function",),
  "attack": ("function",),
  "attribution": ("function",),
  "function": ("function",),
  "forward": ("function",),
  "surrogate": ("function",),
  "features_fn": ("function",),
  "head_fn": ("function",),
  "say": ("function",),
  "apply_fn": ("function",),
  "perturbation": ("function", "none"),
  "attacks": ("full mapping",),
  "settings": ("full mapping",),
  "terms": ("full mapping",),
  "needs": ("mapping",),
  "passes": ("names", "empty list"),
  "name": ("text",),
  "title": ("text",),
  "workdir": ("path",),
  "mask": ("maps",),
  "maps": ("maps",),
  "alignment.x": ("maps",),
  "distances.x": ("maps",),
  "x_adv": ("maps",),
  "distances": ("maps",),
  "epsilons": ("maps",),
  "fooled": ("maps", "flag"),
  "background": ("images",),
  "coefficients": ("maps",),
  "labels": ("maps",),
  "features": ("maps",),
  "occurs": ("maps",),
  "scores": ("maps",),
  "masks": ("maps",),
  "predictions": ("maps",),
  "weights": ("maps",),
  "curve": ("maps",),
  "others": ("maps",),
  "params": ("full mapping",),
  "parameter_randomization.fresh": ("full mapping",),
  "layers": ("names",),
}

# What a function needs, or what makes it short where it is not refused.
_MODEL = {"key": jax.random.key(0), "logits_fn": network, "x": X, "y": Y}
_ON_LOGITS = {"logits": LOGITS, "y": Y}
_BALL = {**_MODEL, "epsilon": 0.1}
GIVEN: dict[str, dict[str, dict[str, Any]]] = {
  "attacks": {
    "accuracy_curve": {"distances": jnp.array([0.1, 0.2]), "epsilons": jnp.array([0.0, 0.1])},
    "apgd": {**_BALL, "steps": 2},
    "apgd_targeted": {**_BALL, "steps": 2, "targets": 2},
    "ascend": {**_MODEL, "steps": 2, "optimizer": optax.scale(0.1),
               "project": lambda candidate, x: jnp.clip(candidate, 0, 1)},
    "ascending": {"optimizer": optax.scale(0.1)},
    "autoattack": {**_BALL, "steps": 1, "targets": 1, "queries": 1},
    "autoattack_members": {"classes": CLASSES, "epsilon": 0.1},
    "averaged_logits": {"key": _MODEL["key"], "randomized_logits_fn": randomized},
    "averaged_loss": {"key": _MODEL["key"], "randomized_logits_fn": randomized},
    "bim": {**_BALL, "steps": 2},
    "count_passes": {"attack": FGSM, **_MODEL},
    "cross_entropy": _ON_LOGITS,
    "cw_l2": {**_MODEL, "steps": 2, "binary_search_steps": 1},
    "cw_margin": _ON_LOGITS,
    "deepfool": {**_MODEL, "steps": 2},
    "distances": {"norm": "l2", "x": X, "x_adv": X + 0.1, "fooled": jnp.array([True, False])},
    "dlr": _ON_LOGITS,
    "evaluate_attacks": {**_BALL, "attacks": {"fgsm": FGSM}, "probed": 0, "count": False},
    "fab": {**_MODEL, "steps": 2, "targets": 2},
    "fgsm": _BALL,
    "fmn": {**_MODEL, "steps": 2},
    "get_attack": {"settings": {"name": "fgsm"}},
    "get_loss": {"loss": "dlr"},
    "jsma": {**_MODEL, "gamma": 0.1},
    "mim": {**_BALL, "steps": 2},
    "momentum_steps": {"norm": core.L2, "step_size": 0.1, "decay": 0.5, "bounds": (0.0, 1.0)},
    "pgd": {**_BALL, "steps": 2},
    "randomized_members": {"key": _MODEL["key"], "randomized_logits_fn": randomized,
                           "classes": CLASSES, "epsilon": 0.1},
    "register": {"name": "mine", "attack": FGSM, "norm": "linf"},
    "run_attacks": {**_BALL, "attacks": {"fgsm": FGSM}},
    "square": {**_BALL, "queries": 2},
    "steepest_steps": {"norm": core.L2, "step_size": 0.1, "bounds": (0.0, 1.0)},
    "targeted_dlr": {**_ON_LOGITS, "target": jnp.array([1, 2])},
    "tgsm": _BALL,
    "with_surrogate_gradient": {"forward": jnp.round, "surrogate": jnp.sin},
  },
  "attributions": {
    **{name: {"maps": X} for name in ("absolute", "channel_sum", "clip_percentile", "gini",
                                      "scale", "total_variation")},
    **dict.fromkeys(("cross_entropy", "log_probability", "logit", "margin", "probability",
                     "uniform_cross_entropy"), _ON_LOGITS),
    **dict.fromkeys(("deconvnet", "deeplift", "gradient", "gradient_x_input", "guided_backprop",
                     "lrp", "occlusion"), _MODEL),
    "feature_ablation": {**_MODEL, "segments": np.arange(16).reshape(4, 4) // 8},
    **{name: {**_MODEL, "samples": 2} for name in ("smoothgrad", "smoothgrad_squared", "vargrad")},
    "alignment": {"maps": X, "x": X},
    "area_under_curve": {"curve": LOGITS},
    "deletion_curve": {"logits_fn": network, "x": X, "y": Y, "maps": X},
    "insertion_curve": {"logits_fn": network, "x": X, "y": Y, "maps": X},
    "infidelity": {**_MODEL, "maps": X, "samples": 2},
    "parameter_randomization": {
      "key": _MODEL["key"], "x": X, "y": Y, "layers": ["outer"],
      "apply_fn": lambda params, x: x.reshape(len(x), 16) @ params["outer"][:, :CLASSES],
      "params": {"outer": _INNER}, "fresh": {"outer": _INNER[::-1]}},
    "rank_correlation": {"maps": X, "others": X**2},
    "sensitivity_max": {**_MODEL, "samples": 2},
    "completeness_error": {"logits_fn": network, "x": X, "y": Y, "maps": X},
    "expected_gradients": {**_MODEL, "background": X, "samples": 2},
    "explain_locally": {**_MODEL, "samples": 20, "segments": "pixels"},
    "get_attribution": {"settings": {"name": "gradient"}},
    "get_score": {"score": "margin"},
    "grad_cam": {**_MODEL, "features_fn": lambda x: x, "head_fn": network},
    "integrated_gradients": {**_MODEL, "steps": 2},
    "lime": {**_MODEL, "samples": 20, "segments": "pixels"},
    "normlime": {"coefficients": jnp.ones((3, 5)), "labels": jnp.array([0, 1, 1]), "classes": 2},
    "register": {"name": "mine", "attribution": attributions.gradient},
    "rise": {**_MODEL, "samples": 2, "cells": 2},
    "sp_lime": {"coefficients": jnp.eye(3), "budget": 2},
    "warn_of_low_scores": {"scores": jnp.ones(3)},
    "weighted_ridge": {"masks": jnp.eye(4), "predictions": jnp.ones((4, 2)),
                       "weights": jnp.ones(4)},
    "with_relu_rule": {"logits_fn": network, "rule": lambda z, g: g},
  },
  "objectives": {
    "adversarial": {**_MODEL, "attack": FGSM},
    "certainty_penalty": {"logits_fn": network, "x": X, "y": Y},
    "class_mean_alignment": {"logits_fn": network, "x": X, "y": Y},
    "cross_entropy": {"logits_fn": network, "x": X, "y": Y},
    "cross_lipschitz_penalty": {"logits_fn": network, "x": X, "y": Y},
    "distillation": {"logits_fn": network, "x": X, "targets": TARGETS},
    "distilled_label_penalty": {"logits_fn": network, "x": X, "targets": TARGETS},
    "entropy_penalty": {"logits_fn": network, "x": X, "y": Y},
    "forward_pass": {"logits_fn": network, "x": X, "y": Y},
    "input_gradient_penalty": {"logits_fn": network, "x": X, "y": Y},
    "interpretation_direction": {"logits_fn": network, "x": X, "y": Y, "maps": X},
    "interpretation_distance": {"logits_fn": network, "x": X, "y": Y, "maps": X},
    "interpretation_magnitude": {"logits_fn": network, "x": X, "y": Y},
    "jacobian_penalty": {"logits_fn": network, "x": X, "y": Y},
    "perceptual_alignment": {"logits_fn": network, "x": X, "class_maps": CLASS_MAPS},
    "projected_jacobian_penalty": _MODEL,
    "trades": {**_MODEL, "attack": functools.partial(attacks.pgd, epsilon=0.1, steps=2)},
    "register": {"name": "mine", "function": lambda passes: passes, "title": "Mine"},
    "weighted_sum": {"terms": {"cross_entropy": {}}},
  },
}  # fmt: skip

NO_CALLS = {
  ("objectives", "term"): "is register, as a decorator",
}

# They are given a key as all attacks and attributions are, and draw nothing.
WITHOUT_DRAWS = (
  "fgsm", "tgsm", "bim", "mim", "cw_l2", "deepfool", "fmn", "jsma", "count_passes", "deconvnet",
  "deeplift", "gradient", "gradient_x_input", "guided_backprop", "lrp", "grad_cam",
  "feature_ablation", "occlusion", "integrated_gradients", "adversarial",
)  # fmt: skip

# Function and argument that nothing looks at: Grad-CAM is given its features and head.
NOT_USED = {("grad_cam", "logits_fn"), *((name, "key") for name in WITHOUT_DRAWS)}

FOLDERS = {"attacks": attacks, "attributions": attributions, "objectives": objectives}
TABLES = (attacks.ATTACKS, attributions.ATTRIBUTIONS, objectives.TERMS)
