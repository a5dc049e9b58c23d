"""Functions that share all but one step, and with it their signature."""

import inspect
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

_Step = TypeVar("_Step", bound=Callable)
_P = ParamSpec("_P")
_R = TypeVar("_R")


def variant_of(
  function: Callable[Concatenate[_Step, _P], _R],
) -> Callable[[_Step], Callable[_P, _R]]:
  """Turns the one step in which functions differ into the whole function.

  Args:
    function: (step, ...) -> result.

  Returns:
    A decorator of a step. What it gives takes the other arguments of `function`, and has the
    step's name and documentation.

  >>> def reduced(step, values, *, scale=1):
  ...   return scale * step(values)
  >>> @variant_of(reduced)
  ... def total(values):
  ...   return sum(values)
  >>> total([1, 2], scale=2), str(inspect.signature(total))
  (6, '(values, *, scale=1)')
  """
  signature = inspect.signature(function)
  first, *others = signature.parameters.values()
  signature = signature.replace(parameters=others)
  annotations = {k: v for k, v in inspect.get_annotations(function).items() if k != first.name}

  def decorate(step: _Step) -> Callable[_P, _R]:
    def variant(*args: _P.args, **kwargs: _P.kwargs) -> _R:
      return function(step, *args, **kwargs)

    for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
      setattr(variant, attribute, getattr(step, attribute))
    variant.__annotations__ = annotations
    setattr(variant, "__signature__", signature)  # noqa: B010 - unknown to type checkers
    return variant

  return decorate
