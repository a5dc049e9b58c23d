"""From names and numbers in a config to a function with its hyper-parameters bound."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from robust_saliency.core import checks


def bind(registry: Mapping[str, Callable], settings: Mapping[str, Any], *, what: str) -> Callable:
  """The function that `settings["name"]` names, with the other settings bound as keywords.

  Args:
    registry: name -> function.
    settings: "name" and keyword hyper-parameters of that function.
    what: what the registry holds, for errors ("attack").

  Returns:
    A `functools.partial`.

  Raises:
    ValueError: for a missing or unknown name, or a setting that the function does not have; both
      suggest the nearest that exists.

  >>> bind({"scale": lambda x, *, by: x * by}, {"name": "scale", "by": 3}, what="function")(2)
  6
  """
  if "name" not in settings:
    raise ValueError(f"{what} needs a name, one of {', '.join(registry)}; got {dict(settings)}")
  checks.one_of(settings["name"], registry, argument=what)
  function = registry[settings["name"]]
  keywords = {name: value for name, value in settings.items() if name != "name"}
  allowed = [
    name
    for name, parameter in inspect.signature(function).parameters.items()
    if parameter.kind is inspect.Parameter.KEYWORD_ONLY
  ]
  for name in keywords:
    checks.one_of(name, allowed, argument=f"setting of {what} {settings['name']!r}")
  return functools.partial(function, **keywords)
