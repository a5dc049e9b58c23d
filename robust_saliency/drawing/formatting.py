"""How numbers are printed."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from robust_saliency.results.estimate import Estimate


def percent(fraction: float) -> str:
  """A fraction in per cent with one decimal, without the sign.

  >>> percent(0.97777)
  '97.8'
  """
  return "n/a" if math.isnan(fraction) else f"{100 * fraction:.1f}"


def percent_range(low: float, high: float) -> str:
  """An interval of fractions in per cent.

  >>> percent_range(0.5, 0.75)
  '50.0 to 75.0'
  """
  if math.isnan(low) and math.isnan(high):
    return "n/a"
  return f"{percent(low)} to {percent(high)}"


def number(value: float) -> str:
  """A number of unknown size, three decimals where it is of order one.

  >>> number(-0.25), number(41.27), number(12345.6), number(0.00012), number(float("nan"))
  ('−0.250', '41.3', '12,346', '1.2e−04', 'n/a')
  """
  if not math.isfinite(value):
    return "n/a"
  size = abs(value)
  if size != 0 and size < 1e-3:
    text = f"{value:.1e}"
  elif size < 10:
    text = f"{value:.3f}"
  elif size < 1000:
    text = f"{value:.1f}"
  else:
    text = f"{value:,.0f}"
  return text.replace("-", "−")


def with_interval(estimate: Estimate) -> str:
  """A number and the ends of its interval, where it has any.

  >>> with_interval(Estimate(0.5, 0.25, 0.75, "", 3))
  '0.500 (0.250 to 0.750)'
  """
  value, low, high = estimate.value, estimate.low, estimate.high
  if math.isnan(value):
    return "n/a"
  return (
    f"{number(value)} ({number(low)} to {number(high)})" if math.isfinite(low) else number(value)
  )


def short(value: float) -> str:
  """A number that a person chose (an epsilon, a threshold), as short as they wrote it.

  >>> short(0.2), short(8 / 255), short(-1.0)
  ('0.2', '0.0314', '−1')
  """
  return f"{value:.3g}".replace("-", "−")


def norm(name: str) -> str:
  """A norm's name as mathematicians write it.

  >>> norm("linf"), norm("l2"), norm("mahalanobis")
  ('ℓ∞', 'ℓ₂', 'mahalanobis')
  """
  return {"linf": "ℓ∞", "l2": "ℓ₂", "l1": "ℓ₁"}.get(name, name)


def attack_in_words(attack: Mapping[str, Any], epsilon: float | None) -> str:
  """An attack as a sentence names it.

  Args:
    attack: its "label" and its "norm".
    epsilon: its radius; None for an attack that has none.

  >>> attack_in_words({"label": "PGD-20", "norm": "linf"}, 0.1)
  'PGD-20, ℓ∞, ε = 0.1'
  """
  radius = "" if epsilon is None else f", ε = {short(float(epsilon))}"
  return f"{attack['label']}, {norm(attack['norm'])}{radius}"


def class_name(classes: Sequence[str], position: float) -> str:
  """A class by its position: its name, or the number itself where the data set has none.

  >>> class_name(["no", "yes"], 1), class_name(["no", "yes"], 2), class_name([], float("nan"))
  ('yes', '2', 'n/a')
  """
  if math.isnan(position):
    return "n/a"
  position = int(position)
  return classes[position] if 0 <= position < len(classes) else str(position)
