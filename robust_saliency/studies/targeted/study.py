"""What a targeted attack makes of the same images for each network, and who reads the target.

The result is also the pool of a study with people in the manner of Ross & Doshi-Velez 2018: with
`per_class` 5 and ten classes, 45 images (5 originals x 9 targets) for each digit and network. An
image's metadata are its place in the arrays (network, original, target), the original's label and
position in the test split, and its success flag `predictions[m, m, n, k] == targets[k]`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.attacks import ATTACKS
from robust_saliency.core import Bounds, LogitsFn, checks
from robust_saliency.core.binding import settings_of
from robust_saliency.data import Dataset
from robust_saliency.studies.batches import Evaluator, Networks, key_for, predict
from robust_saliency.studies.robustness import attack_on
from robust_saliency.studies.saliency import positions_of_each_class


def targeted(
  networks: Networks,
  dataset: Dataset,
  key: Array,
  *,
  attack: Mapping[str, Any],
  per_class: int = 5,
  batch_size: int = 100,
  frames: Sequence[int] | None = None,
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
  """The first test images of each class, led to every other class, by the first seed's networks.

  JSMA dominates the cost: with gamma 0.25 on 28x28 images and the network of Ross & Doshi-Velez
  an image takes about 0.2 s of a CPU core, so the 450 of one network a minute and a half. The
  iterated TGSM takes seconds.

  Args:
    networks: name -> one trained network per seed; the first seed's are used.
    dataset: its test split is attacked, within its bounds.
    key: fixes the attack's random starts.
    attack: the config of an attack that can be aimed ("jsma", "tgsm", "pgd", ...), all its
      settings but the target; "label" is what the report calls it. With several steps "tgsm" is
      the iterated one.
    per_class: images of each class.
    batch_size: pairs of an image and a target per call. Those of one class and one target lie
      together, since JSMA goes on until the last of a batch has reached its target.
    frames: after how many steps of "tgsm" the images are also kept, ascending from 0 or more;
      None for none. Of the first image of each class.

  Returns:
    arrays {
      "adversarial": uint8 [M, N, K, H, W, C], 0 to 255 from the lower to the upper pixel bound;
        where the target is the label, the untouched image,
      "images": uint8 [N, H, W, C], "labels": [N], "positions": [N] in the test split,
      "targets": [K],
      "predictions": int [M made for, M tested on, N, K], of the images before they are rounded to
        bytes,
      "frames": uint8 [M, F, K, T, H, W, C] and "framed": [F], the images that they show; only if
        asked for}
    and facts {"models", "seed", "attack", "classes", "frames"}.

  Source: Ross & Doshi-Velez 2018, figures 5 and 11, and the human-subject study.
  """
  classes, targets = len(dataset.classes), np.arange(len(dataset.classes))
  positions = positions_of_each_class(dataset.test, classes, per_class)
  chosen = dataset.test.take(positions)
  x, labels = dataset.to_float(chosen.x), chosen.y
  attack_in_stages = aimed(dataset, attack, frames)
  shown = list(frames or ())

  image_of, target_of = np.nonzero(labels[:, None] != targets)
  order = np.lexsort((image_of, target_of, labels[image_of]))
  image_of, target_of = image_of[order], target_of[order]
  framed = np.unique(labels, return_index=True)[1]

  lead = Evaluator(attack_in_stages, batch_size=batch_size)
  read = Evaluator(predict, batch_size=batch_size)
  study_key = key_for(key, "targeted")
  first_seed = [of_seeds[0] for of_seeds in networks.values()]
  adversarial, predictions, all_frames = [], [], []
  for network in first_seed:
    stages = lead(network, study_key, x[image_of], target_of)
    led = np.repeat(x[:, None], classes, axis=1)
    led[image_of, target_of] = stages[:, -1]
    flat = led.reshape(-1, *x.shape[1:])
    repeated = np.repeat(labels, classes)
    adversarial.append(to_bytes(led, dataset.bounds))
    predictions.append(
      [
        read(reader, study_key, flat, repeated).reshape(len(labels), classes)
        for reader in first_seed
      ]
    )
    if shown:
      film = np.repeat(np.repeat(x[:, None, None], classes, axis=1), len(shown), axis=2)
      film[image_of, target_of] = stages[:, : len(shown)]
      all_frames.append(to_bytes(film[framed], dataset.bounds))
  arrays = {
    "adversarial": np.stack(adversarial),
    "images": to_bytes(x, dataset.bounds),
    "labels": labels,
    "positions": positions,
    "targets": targets,
    "predictions": np.array(predictions),
  }
  if shown:
    arrays |= {"frames": np.stack(all_frames), "framed": framed}
  facts = {
    "models": list(networks),
    "seed": first_seed[0].seed,
    "attack": {
      "name": attack["name"],
      "label": attack.get("label", attack["name"]),
      "settings": {field: value for field, value in attack.items() if field != "label"},
    },
    "classes": list(dataset.classes),
    "frames": shown,
  }
  return arrays, facts


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
  bound = attack_on(dataset, settings)
  name = settings["name"]
  parameters = settings_of(ATTACKS[name])
  # "y + 0" is the class that the attack is given.
  aims: dict[str, Any] = {"target_offset": 0, "targeted": True}
  aim = {field: value for field, value in aims.items() if field in parameters}
  if not aim:
    able = [one for one, attack in ATTACKS.items() if aims.keys() & settings_of(attack).keys()]
    raise ValueError(f"attack must be one that can be aimed, {', '.join(able)}; got {name!r}")
  if not frames:
    return lambda key, logits_fn, x, y: bound(key, logits_fn, x, y, **aim)[:, None]
  if name != "tgsm":
    raise ValueError(f"frames need an attack whose steps are taken one by one, tgsm; got {name!r}")
  steps = settings.get("steps", settings_of(ATTACKS[name])["steps"].default)
  _check_frames(frames, steps)
  ends = list(dict.fromkeys([*frames, steps]))

  def in_stages(key: Array, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
    stages, taken = [], 0
    for end in ends:
      if end > taken:
        x = bound(key, logits_fn, x, y, steps=end - taken, **aim)
      stages.append(x)
      taken = end
    return jnp.stack(stages, axis=1)

  return in_stages


def to_bytes(x: np.ndarray, bounds: Bounds) -> np.ndarray:
  """Pixels within the bounds as uint8, 0 for the lower bound and 255 for the upper.

  >>> to_bytes(np.array([-0.5, 0.0, 0.5]), (-0.5, 0.5)).tolist()
  [0, 128, 255]
  """
  low, high = bounds
  return np.clip(np.rint((x - low) / (high - low) * 255), 0, 255).astype(np.uint8)


def _check_frames(frames: Sequence[int], steps: int) -> None:
  checks.count(steps=steps)
  checks.count(0, **{f"frames[{i}]": frame for i, frame in enumerate(frames)})
  if list(frames) != sorted(set(frames)) or frames[-1] > steps:
    raise ValueError(
      f"frames must be ascending and at most the attack's {steps} steps, got {list(frames)}"
    )
