"""Worst-case inputs.

An attack is any `(key, logits_fn, x, y) -> x_adv` once its hyper-parameters are bound by
`functools.partial`. FGSM, BIM, MIM, TGSM and PGD are settings of one loop, `ascend`; a new attack
is a new loss or a new optimiser, not a new loop. Models that draw random numbers go through
`averaged_loss` or `averaged_logits`, preprocessing without a gradient through
`with_surrogate_gradient`; what they give works with every attack.

With `targeted`, y are the classes to reach. Images that are normalised outside the model have
bounds and an epsilon for each channel: both may be arrays [C].

FAB, DeepFool and FMN look for the nearest adversarial image instead of the worst in a ball: one run
gives a distance per image, and `accuracy_curve` of the distances the accuracy at every epsilon.

Bad arguments raise ValueError or TypeError, in a sentence that names the argument, what was given
and what is allowed; the docstrings list what is raised beyond that. Traced values, inside `jit`,
cannot be checked.
"""

# Each of these files declares its attacks, so that configs can name them, in this order.
from robust_saliency.attacks.apgd import apgd, apgd_targeted
from robust_saliency.attacks.cw import cw_l2
from robust_saliency.attacks.deepfool import deepfool
from robust_saliency.attacks.fab import fab
from robust_saliency.attacks.fgsm import fgsm, tgsm
from robust_saliency.attacks.fmn import fmn
from robust_saliency.attacks.jsma import jsma
from robust_saliency.attacks.mim import mim
from robust_saliency.attacks.pgd import bim, pgd
from robust_saliency.attacks.square import square

# isort: split
# What attacks share, what is made of them, and what looks them up.
from robust_saliency.attacks.bpda import with_surrogate_gradient
from robust_saliency.attacks.evaluation import pitfalls
from robust_saliency.attacks.evaluation.autoattack import (
  autoattack,
  autoattack_members,
  randomized_members,
)
from robust_saliency.attacks.evaluation.counting import Passes, count_passes
from robust_saliency.attacks.evaluation.ensemble import Verdicts, run_attacks
from robust_saliency.attacks.evaluation.evaluate_attacks import Evaluation, evaluate_attacks
from robust_saliency.attacks.loop import ascend
from robust_saliency.attacks.minimal_norm import accuracy_curve, distances
from robust_saliency.attacks.randomized import averaged_logits, averaged_loss
from robust_saliency.attacks.registry import ATTACKS, get_attack, register
from robust_saliency.attacks.steps import ascending, momentum_steps, steepest_steps
from robust_saliency.core.losses import (
  LOSSES,
  cross_entropy,
  cw_margin,
  dlr,
  get_loss,
  targeted_dlr,
)

__all__ = [
  "ATTACKS",
  "LOSSES",
  "Evaluation",
  "Passes",
  "Verdicts",
  "accuracy_curve",
  "apgd",
  "apgd_targeted",
  "ascend",
  "ascending",
  "autoattack",
  "autoattack_members",
  "averaged_logits",
  "averaged_loss",
  "bim",
  "count_passes",
  "cross_entropy",
  "cw_l2",
  "cw_margin",
  "deepfool",
  "distances",
  "dlr",
  "evaluate_attacks",
  "fab",
  "fgsm",
  "fmn",
  "get_attack",
  "get_loss",
  "jsma",
  "mim",
  "momentum_steps",
  "pgd",
  "pitfalls",
  "randomized_members",
  "register",
  "run_attacks",
  "square",
  "steepest_steps",
  "targeted_dlr",
  "tgsm",
  "with_surrogate_gradient",
]
