"""From names and numbers in a config to a function with its hyper-parameters bound."""

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from robust_saliency.core import checks


def bind(
  registry: Mapping[str, Callable],
  settings: Mapping[str, Any],
  *,
  what: str,
  later: Collection[str] = (),
  also: Collection[str] = (),
) -> Callable:
  """The function that `settings["name"]` names, with the other settings bound as keywords.

  Args:
    registry: name -> function.
    settings: "name" and keyword hyper-parameters of that function.
    what: what the registry holds, for errors ("attack").
    later: hyper-parameters that may be left out although they have no default, since whoever calls
      the function gives them.
    also: what a config may set beside them, which whoever calls this has taken away.

  Returns:
    A `functools.partial`.

  Raises:
    TypeError: for settings that are not a mapping.
    ValueError: for a missing or unknown name, a setting that the function does not have (both
      suggest the nearest that exists), or one that it needs and is not there.

  >>> bind({"scale": lambda x, *, by: x * by}, {"name": "scale", "by": 3}, what="function")(2)
  6
  """
  checks.mapping(**{f"settings of {what}": settings})
  if "name" not in settings:
    names, given = checks.listed(registry), checks.shown(dict(settings))
    raise ValueError(f"{what} needs a name, one of {names}; got {given}")
  name = settings["name"]
  checks.one_of(name, registry, argument=what)
  parameters = settings_of(registry[name])
  keywords = {setting: value for setting, value in settings.items() if setting != "name"}
  for setting, value in keywords.items():
    checks.one_of(setting, (*parameters, *also), argument=f"setting of {what} {name!r}")
    _check_value(setting, value, parameters[setting].default)
  for setting, parameter in parameters.items():
    if parameter.default is parameter.empty and setting not in (*keywords, *later):
      raise ValueError(f"{what} {name!r} needs the setting {setting!r}, which is missing")
  return functools.partial(registry[name], **keywords)


def _check_value(setting: str, value: Any, default: Any) -> None:
  """Raises for what no function with this default can mean; the function checks the rest."""
  if isinstance(default, bool):
    checks.flag(**{setting: value})
  if value is None and default is not None and default is not inspect.Parameter.empty:
    raise TypeError(f"{setting} must not be None; leave it out for {checks.shown(default)}")
  if isinstance(value, str) and isinstance(default, (int, float)):
    raise TypeError(f"{setting} must be a number, got {checks.shown(value)}")
  # JAX would take it for a default integer.
  if isinstance(value, int) and abs(value) > checks.LARGEST_COUNT:
    raise ValueError(f"{setting} must be at most {checks.LARGEST_COUNT}, got {checks.shown(value)}")


def find(registry: Mapping[str, Callable], settings: Mapping[str, Any]) -> Callable | None:
  """The function that the settings name; None where there is none, which `bind` refuses."""
  name = settings.get("name")
  return registry.get(name) if isinstance(name, str) else None


def settings_of(function: Callable) -> dict[str, inspect.Parameter]:
  """The keyword-only parameters of a function, which are what a config may set.

  >>> list(settings_of(lambda x, *, by=1: x * by))
  ['by']
  """
  parameters = inspect.signature(function).parameters
  return {name: one for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY}
