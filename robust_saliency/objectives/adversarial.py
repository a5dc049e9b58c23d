"""Adversarial training: the loss where an attack puts the examples."""

from jax import Array

from robust_saliency.core import Attack, Key, LogitsFn, checks
from robust_saliency.objectives import arguments
from robust_saliency.objectives.cross_entropy import cross_entropy_of_logits
from robust_saliency.objectives.passes import TrainingPasses, attacked
from robust_saliency.objectives.terms import term


def adversarial(
  key: Key,
  logits_fn: LogitsFn,
  x: Array,
  y: Array,
  *,
  attack: Attack,
  clean_weight: float | Array = 0.0,
  attack_labels: str = "true",
) -> Array:
  """(1 - w) CE(attack(x), y) + w CE(x, y), per example.

  The attacked images are constants for differentiation.

  Args:
    key: one PRNG key, or one per example [B].
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images [B, H, W, C] within the attack's bounds.
    y: classes, int [B].
    attack: any `(key, logits_fn, x, y) -> x_adv`.
    clean_weight: w, the share of the clean loss (traced): 0 for Madry et al. and Kim et al., 0.5
      for Ross & Doshi-Velez.
    attack_labels: which classes the attack is given: "true", or "predicted" against label
      leaking (Ross & Doshi-Velez).

  Returns:
    Losses [B].

  Raises:
    ValueError, TypeError: for a weight outside [0, 1], unknown `attack_labels`, images, classes or
      logits of other shapes or dtypes, classes that there are not, or an attack that is none or
      returns images of another shape.

  Source: Goodfellow et al. 2015, section 6; Madry et al. 2018, equation 2.1.

  >>> import jax, jax.numpy as jnp
  >>> from functools import partial
  >>> from robust_saliency.attacks import fgsm
  >>> x = jnp.full((1, 1, 1, 2), 0.5)
  >>> adversarial(jax.random.key(0), lambda x: x[:, 0, 0], x, jnp.array([0]),
  ...             attack=partial(fgsm, epsilon=0.5)).tolist()
  [1.313]
  """
  checks.scalar(clean_weight=clean_weight)
  checks.fraction(clean_weight=clean_weight)
  checks.function(attack=attack)
  logits_fn = arguments.checked(logits_fn, x)
  checks.labels(y, batch=x.shape[0])
  x_adv = attacked(key, logits_fn, x, y, attack=attack, attack_labels=attack_labels)
  arguments.attacked_images(x_adv, x)
  logits = logits_fn(x_adv)
  checks.labels(y, batch=x.shape[0], classes=logits.shape[1])
  loss = cross_entropy_of_logits(logits, y)
  if isinstance(clean_weight, (int, float)) and clean_weight == 0:
    return loss
  return (1 - clean_weight) * loss + clean_weight * cross_entropy_of_logits(logits_fn(x), y)


# In a config the clean loss is a term of its own, and the mixture the two terms' weights.
@term("adversarial", title="Cross-entropy on adversarial examples", passes=("attacked",), version=2)
def _term(
  passes: TrainingPasses,
  *,
  attack: Attack,
  attack_labels: str = "true",
  attack_mode: str = "evaluation",
  # From the start, a strong attack can set all units of a narrow layer to 0 for good.
  ramp_steps: int = 0,
) -> Array:
  once = passes.attacked(
    attack, attack_labels=attack_labels, attack_mode=attack_mode, ramp_steps=ramp_steps
  )
  return cross_entropy_of_logits(once.logits, once.y)
