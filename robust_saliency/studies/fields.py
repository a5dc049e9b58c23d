"""What each setting of a study may be, whatever its kind."""

from collections.abc import Callable, Mapping
from typing import Any

from robust_saliency.core import NORMS, checks


def check_fields(settings: Mapping[str, Any]) -> None:
  """Refuses values of a type or range that the setting cannot have.

  Args:
    settings: a study's entry in a config.

  Raises:
    ValueError, TypeError: in a sentence that names the setting.

  >>> check_fields({"kind": "accuracy", "examples": 2.5})
  Traceback (most recent call last):
  TypeError: examples must be a whole number known when the function is traced, got 2.5
  """
  for name, value in settings.items():
    check = _CHECKS.get(name)
    if check is not None and not (value is None and name in _OPTIONAL):
      check(name, value)


def _number(name: str, value: Any) -> None:
  checks.scalar(**{name: value})
  checks.non_negative(**{name: value})


def _fraction(name: str, value: Any) -> None:
  checks.scalar(**{name: value})
  checks.fraction(**{name: value})


def _radii(name: str, value: Any) -> None:
  checks.sequence(**{name: value})
  for i, radius in enumerate(value):
    _number(f"{name}[{i}]", radius)
  if len(set(value)) < len(value):
    raise ValueError(f"{name} must be different numbers, got {list(value)}")


def _counts(name: str, value: Any) -> None:
  checks.sequence(**{name: value})
  checks.count(0, **{f"{name}[{i}]": one for i, one in enumerate(value)})


def _mappings(name: str, value: Any) -> None:
  checks.mapping(**{name: value})
  if not value:
    raise ValueError(f"{name} must not be empty, got {dict(value)}")
  for key, one in value.items():
    checks.text(**{f"a name in {name}": key})
    checks.mapping(**{f"{name}[{key!r}]": one})


def _overlap(name: str, value: Any) -> None:
  checks.mapping(**{name: value})
  for field in value:
    checks.one_of(field, ("models", "epsilon"), argument=f"field of {name}")
  for field in ("models", "epsilon"):
    if field not in value:
      raise ValueError(f"{name} needs the field {field!r}, got {', '.join(value) or 'none'}")
  checks.distinct_names(**{f"models of {name}": value["models"]})
  _number(f"epsilon of {name}", value["epsilon"])


_CHECKS: dict[str, Callable[[str, Any], None]] = {
  "models": lambda name, value: checks.distinct_names(**{name: value}),
  "attacks": _mappings,
  "families": _mappings,
  "attack": lambda name, value: checks.mapping(**{name: value}),
  "attribution": lambda name, value: checks.mapping(**{name: value}),
  "overlap": _overlap,
  "epsilons": _radii,
  "epsilon": _number,
  "keep": _fraction,
  "norm": lambda name, value: checks.one_of(value, NORMS, argument=name),
  "examples": lambda name, value: checks.count(**{name: value}),
  "batch_size": lambda name, value: checks.count(**{name: value}),
  "per_class": lambda name, value: checks.count(**{name: value}),
  "probed": lambda name, value: checks.count(0, **{name: value}),
  "frames": _counts,
  "reference": lambda name, value: checks.text(**{name: value}),
  "source": lambda name, value: checks.text(**{name: value}),
}

_OPTIONAL = ("examples", "frames", "overlap")
