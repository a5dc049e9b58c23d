"""AutoAttack: four attacks without hyper-parameters to tune, one after the other."""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging
from jax import Array

from robust_saliency.attacks.apgd import apgd, apgd_targeted
from robust_saliency.attacks.evaluation import pitfalls
from robust_saliency.attacks.evaluation.ensemble import run_attacks
from robust_saliency.attacks.fab import fab
from robust_saliency.attacks.randomized import RandomizedLogitsFn, averaged_loss
from robust_saliency.attacks.square import square
from robust_saliency.attacks.threat import radius_per_channel
from robust_saliency.core import Attack, Key, LogitsFn, PixelBounds, checks, example_keys

# The attacks' names are the authors'. In "plus", the untargeted attacks restart five times. The
# third version, "rand", is that of `randomized_members`.
VERSIONS: dict[str, tuple[str, ...]] = {
  "standard": ("apgd-ce", "apgd-t", "fab-t", "square"),
  "plus": ("apgd-ce-5", "apgd-dlr-5", "fab-5", "square", "apgd-t", "fab-t"),
}
# What a command line calls them.
ENSEMBLES = {
  "autoattack" if version == "standard" else f"autoattack_{version}": version
  for version in VERSIONS
}
RAND = "rand"
NORMS = ("linf", "l2", "l1")


def autoattack(
  key: Key,
  logits_fn: LogitsFn | RandomizedLogitsFn,
  x: Array,
  y: Array,
  *,
  epsilon: Array | float,
  norm: str = "linf",
  version: str = "standard",
  steps: int = 100,
  targets: int = 9,
  queries: int = 5000,
  samples: int = 20,
  bounds: PixelBounds = (0.0, 1.0),
  batch_size: int = 250,
  workdir: Path | str | None = None,
) -> Array:
  """Tries to break each image by several attacks, and spares each what an earlier one has broken.

  It takes a whole data set and runs on the host, in batches, on all devices of this process; it
  cannot be traced. `run_attacks` with `autoattack_members` gives more than the images: who broke
  what, and how long it took. An image that leaves the ball does not count.

  "standard" is APGD on cross-entropy and on the targeted DLR loss, FAB-T and Square; "plus" is
  longer; "rand" is for models that draw random numbers, whose mean loss over draws APGD increases
  on cross-entropy and on DLR. Such a model is judged by its mean log-probabilities over draws that
  the attacks have not seen.

  Args:
    key: one PRNG key, or one per example [N]; see `run_attacks`.
    logits_fn: maps images [B, H, W, C] to logits [B, K]; for "rand", keys [B] and images to logits,
      each image by its own key.
    x: images [N, H, W, C] within `bounds`.
    y: the true classes, int [N].
    epsilon: radius of the ball, in pixel units, one or one per channel [C].
    norm: "linf", "l2" or "l1".
    version: "standard", "plus" or "rand".
    steps: of each run of APGD and FAB; the authors' number is 100.
    targets: classes that the targeted attacks turn to; all where there are fewer.
    queries: of Square; the authors' number is 5000.
    samples: draws that a step of "rand" averages over, and the judgement, too.
    bounds: (low, high) of the pixels, each one number or one per channel [C].
    batch_size: the most examples per call, over all devices.
    workdir: where finished batches are kept; the same call resumes from them after it was killed.

  Returns:
    Images [N, H, W, C]: one that is misclassified and lies within epsilon of x and within `bounds`
    where one was found; x itself elsewhere, and where x is misclassified already.

  Source: Croce & Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of
  diverse parameter-free attacks", section 6; for l1 Croce & Hein 2021, "Mind the box: l1-APGD for
  sparse adversarial attacks on image classifiers".

  >>> import jax
  >>> x_adv = autoattack(jax.random.key(0), lambda x: x.reshape(-1, 4),
  ...                    jnp.array([[[[0.6, 0.5, 0.2, 0.0]]]]), jnp.array([0]), epsilon=0.1,
  ...                    steps=5, queries=5)
  >>> int(jnp.argmax(x_adv)), float(jnp.max(jnp.abs(x_adv - jnp.array([0.6, 0.5, 0.2, 0.0]))))
  (1, 0.1)
  """
  checks.one_of(version, (*VERSIONS, RAND), argument="version")
  checks.function(logits_fn=logits_fn)
  checks.images(x)
  checks.labels(y, batch=x.shape[0])
  checks.count(samples=samples)
  checks.count(images=len(x))
  judged: Any = logits_fn
  if version == RAND:
    attack_key, judge_key = jax.random.split(jax.random.fold_in(example_keys(key, len(x))[0], 1))
    judged, _ = averaged_loss(judge_key, judged, samples=samples)
  classes = checks.number_of_classes(judged, x)
  shared: dict[str, Any] = {"epsilon": epsilon, "norm": norm, "bounds": bounds, "steps": steps}
  if version == RAND:
    members = randomized_members(attack_key, logits_fn, classes, samples=samples, **shared)  # type: ignore[arg-type]
  else:
    members = autoattack_members(
      classes, version=version, targets=targets, queries=queries, **shared
    )
  warning = pitfalls.too_few_classes(classes)
  if warning is not None:
    logging.warning("AutoAttack: %s", warning)
  verdicts = run_attacks(
    key,
    judged,
    x,
    y,
    attacks=members,
    norm=norm,
    epsilon=epsilon,
    bounds=bounds,
    batch_size=batch_size,
    workdir=workdir,
  )
  return jnp.asarray(verdicts.x_adv)


def autoattack_members(
  classes: int,
  *,
  epsilon: Array | float,
  norm: str = "linf",
  version: str = "standard",
  steps: int = 100,
  targets: int = 9,
  queries: int = 5000,
  bounds: PixelBounds = (0.0, 1.0),
) -> dict[str, Attack]:
  """The attacks of AutoAttack by name, in order, for `run_attacks` and `evaluate_attacks`.

  The targeted DLR loss needs four classes and the DLR loss three. Where there are fewer, APGD
  increases the margin max_{j != y} z_j - z_y in their place, under the name "apgd-margin".

  Args:
    classes: the number K of classes.
    epsilon: as in `autoattack`.
    norm: as in `autoattack`.
    version: as in `autoattack`.
    steps: as in `autoattack`.
    targets: as in `autoattack`.
    queries: as in `autoattack`.
    bounds: as in `autoattack`.

  Returns:
    name -> `(key, logits_fn, x, y) -> x_adv`.

  Raises:
    ValueError, TypeError: for an unknown norm or version, or numbers out of range.

  >>> list(autoattack_members(10, epsilon=0.1))
  ['apgd-ce', 'apgd-t', 'fab-t', 'square']
  >>> list(autoattack_members(2, epsilon=0.1))
  ['apgd-ce', 'apgd-margin', 'fab-t', 'square']
  """
  checks.one_of(version, VERSIONS, argument="version")
  _check(classes, norm, epsilon)
  checks.some_bounds(bounds)
  checks.count(steps=steps, targets=targets, queries=queries)
  ball: dict[str, Any] = {"epsilon": epsilon, "norm": norm, "bounds": bounds}
  # Right is what fools the model first: robust accuracy asks for no more.
  untargeted = functools.partial(apgd, steps=steps, keep="first", **ball)
  # By itself FAB measures nearness in plain pixels.
  nearest = radius_per_channel(fab) if np.ndim(epsilon) else fab
  known: dict[str, Attack] = {
    "apgd-ce": untargeted,
    "apgd-ce-5": functools.partial(untargeted, restarts=5),
    "apgd-dlr-5": functools.partial(untargeted, loss="dlr", restarts=5),
    "apgd-margin": functools.partial(untargeted, loss="cw_margin"),
    "apgd-margin-5": functools.partial(untargeted, loss="cw_margin", restarts=5),
    "apgd-t": functools.partial(apgd_targeted, steps=steps, targets=targets, keep="first", **ball),
    "fab-5": functools.partial(nearest, steps=steps, targets=None, restarts=5, **ball),
    "fab-t": functools.partial(nearest, steps=steps, targets=targets, **ball),
    "square": functools.partial(square, queries=queries, **ball),
  }
  instead = {}
  if classes < 4:
    instead["apgd-t"] = "apgd-margin"
  if classes < 3:
    instead["apgd-dlr-5"] = "apgd-margin-5"
  return {instead.get(name, name): known[instead.get(name, name)] for name in VERSIONS[version]}


def randomized_members(
  key: Key,
  randomized_logits_fn: RandomizedLogitsFn,
  classes: int,
  *,
  epsilon: Array | float,
  norm: str = "linf",
  steps: int = 100,
  samples: int = 20,
  bounds: PixelBounds = (0.0, 1.0),
) -> dict[str, Attack]:
  """The attacks of AutoAttack's version for models that draw random numbers.

  APGD increases the mean, over draws, of the cross-entropy and of the DLR loss (with two classes
  the margin). The attacks follow this model, whatever logits function they are called with.

  Args:
    key: one PRNG key, of the draws.
    randomized_logits_fn: maps keys [B] and images [B, H, W, C] to logits [B, K].
    classes: the number K of classes.
    epsilon: as in `autoattack`.
    norm: as in `autoattack`.
    steps: as in `autoattack`.
    samples: as in `autoattack`.
    bounds: as in `autoattack`.

  Returns:
    name -> `(key, logits_fn, x, y) -> x_adv`.

  >>> list(randomized_members(jax.random.key(0), lambda keys, x: x[:, 0, 0], 10, epsilon=0.1))
  ['apgd-ce', 'apgd-dlr']
  """
  _check(classes, norm, epsilon)
  checks.function(randomized_logits_fn=randomized_logits_fn)
  checks.some_bounds(bounds)
  checks.count(steps=steps, samples=samples)

  def member(loss: str) -> Attack:
    mean_logits_fn, mean_loss = averaged_loss(key, randomized_logits_fn, loss, samples=samples)

    def attack(keys: Key, logits_fn: LogitsFn, x: Array, y: Array) -> Array:
      del logits_fn
      return apgd(
        keys,
        mean_logits_fn,
        x,
        y,
        epsilon=epsilon,
        norm=norm,
        steps=steps,
        loss=mean_loss,
        bounds=bounds,
      )

    return attack

  second = ("apgd-dlr", "dlr") if classes > 2 else ("apgd-margin", "cw_margin")
  return {name: member(loss) for name, loss in (("apgd-ce", "cross_entropy"), second)}


def _check(classes: int, norm: str, epsilon: Array | float) -> None:
  checks.one_of(norm, NORMS, argument="norm")
  checks.count(2, classes=classes)
  checks.non_negative(epsilon=epsilon)
