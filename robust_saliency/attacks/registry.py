"""The attacks by name, for configs."""

from collections.abc import Callable, Mapping
from typing import Any

from robust_saliency.attacks.apgd import apgd, apgd_targeted
from robust_saliency.attacks.cw import cw_l2
from robust_saliency.attacks.deepfool import deepfool
from robust_saliency.attacks.fab import fab
from robust_saliency.attacks.fgsm import fgsm, tgsm
from robust_saliency.attacks.fmn import fmn
from robust_saliency.attacks.jsma import jsma
from robust_saliency.attacks.momentum import mim
from robust_saliency.attacks.pgd import bim, pgd
from robust_saliency.attacks.square import square
from robust_saliency.core.binding import bind

ATTACKS: dict[str, Callable] = {
  "fgsm": fgsm,
  "tgsm": tgsm,
  "bim": bim,
  "mim": mim,
  "pgd": pgd,
  "apgd": apgd,
  "apgd_targeted": apgd_targeted,
  "deepfool": deepfool,
  "fab": fab,
  "fmn": fmn,
  "cw_l2": cw_l2,
  "square": square,
  "jsma": jsma,
}


def get_attack(settings: Mapping[str, Any]) -> Callable:
  """The attack that a config describes, with its hyper-parameters bound.

  Args:
    settings: {"name": one of `ATTACKS`, and any of its keyword hyper-parameters}. What is left
      out (epsilon, say) can be given at the call.

  Returns:
    `(key, logits_fn, x, y, **rest) -> x_adv`.

  Raises:
    ValueError: for an unknown name or setting.

  >>> get_attack({"name": "pgd", "epsilon": 0.1, "steps": 3}).keywords
  {'epsilon': 0.1, 'steps': 3}
  """
  return bind(ATTACKS, settings, what="attack")
