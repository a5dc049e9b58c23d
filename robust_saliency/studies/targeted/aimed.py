"""An attack that leads each image to a class of its own, perhaps looked at on its way."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
from jax import Array

from robust_saliency.attacks import ATTACKS
from robust_saliency.core import LogitsFn, checks
from robust_saliency.core.binding import settings_of
from robust_saliency.data import Dataset
from robust_saliency.studies.methods import attack_on


def aimed(
  dataset: Dataset, settings: Mapping[str, Any], frames: Sequence[int] | None = None
) -> Callable[[Array, LogitsFn, Array, Array], Array]:
  """An attack of a config that leads each image to a class of its own, in stages.

  Args:
    dataset: gives the pixel bounds.
    settings: an attack's config, without its target.
    frames: after how many steps to look; only "tgsm" can be looked at on its way, since its steps
      know nothing of those before: some, and then the others, are the same as all at once.

  Returns:
    (key, logits_fn, images [B, H, W, C], targets [B]) -> images [B, T, H, W, C], one for each of
    the frames and, unless it is the last frame, the result.

  Raises:
    ValueError: for an unknown attack or setting, one that cannot be aimed, or frames that are not
      ascending numbers of steps.
  """
  for field in ("targeted", "target_offset"):
    if field in settings:
      raise ValueError(f"attack of a targeted study must not have the setting {field!r}")
  with checks.naming("attack"):
    bound = attack_on(dataset, settings)
  name = settings["name"]
  if "targeted" not in settings_of(ATTACKS[name]):
    able = [one for one, attack in ATTACKS.items() if "targeted" in settings_of(attack)]
    raise ValueError(f"attack must be one that can be aimed, {', '.join(able)}; got {name!r}")
  if not frames:
    return lambda key, logits_fn, x, y: bound(key, logits_fn, x, y, targeted=True)[:, None]
  if name != "tgsm":
    raise ValueError(f"frames need an attack whose steps are taken one by one, tgsm; got {name!r}")
  steps = settings.get("steps", settings_of(ATTACKS[name])["steps"].default)
  _check_frames(frames, steps)
  ends = list(dict.fromkeys([*frames, steps]))

  def in_stages(key: Array, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
    stages, taken = [], 0
    for end in ends:
      if end > taken:
        x = bound(key, logits_fn, x, y, steps=end - taken, targeted=True)
      stages.append(x)
      taken = end
    return jnp.stack(stages, axis=1)

  return in_stages


def _check_frames(frames: Sequence[int], steps: int) -> None:
  checks.count(steps=steps)
  checks.count(0, **{f"frames[{i}]": frame for i, frame in enumerate(frames)})
  if list(frames) != sorted(set(frames)) or frames[-1] > steps:
    raise ValueError(
      f"frames must be ascending and at most the attack's {steps} steps, got {list(frames)}"
    )
