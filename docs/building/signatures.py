"""How a function is called, in short words: `LogitsFn`, not what it is made of."""

import functools
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

import numpy.typing

from robust_saliency.core import types as function_types

# Annotations know no names: these go by what they are equal to, and two by their argument's, too.
_NAMED = {
  **{name: getattr(function_types, name) for name in ("Bounds", "PixelBounds", "ApplyFn")},
  "ArrayLike": numpy.typing.ArrayLike,
}
_NAMED_BY_ARGUMENT = {
  "logits_fn": ("LogitsFn", function_types.LogitsFn),
  "attack": ("Attack", function_types.Attack),
  "attribution": ("Attribution", function_types.Attribution),
}
# Every Flax module has them; nobody gives them.
_OF_FLAX = ("parent", "name")


def annotation(hint: Any) -> str:
  """A type in short words.

  >>> import jax
  >>> annotation(Callable[[jax.Array], jax.Array]), annotation(dict[str, int | None])
  ('Callable[[Array], Array]', 'dict[str, int | None]')
  """
  for name, known in _NAMED.items():
    if hint == known:
      return name
  if isinstance(hint, str):
    return hint
  if hint is None or hint is type(None):
    return "None"
  if hint is Ellipsis:
    return "..."
  if isinstance(hint, list):
    return f"[{', '.join(map(annotation, hint))}]"
  origin, arguments = typing.get_origin(hint), typing.get_args(hint)
  if origin is typing.Annotated:
    return annotation(arguments[0])
  if origin in (typing.Union, types.UnionType):
    return " | ".join(map(annotation, arguments))
  if origin is typing.Literal:
    return f"Literal[{', '.join(map(repr, arguments))}]"
  if origin is not None:
    name = getattr(origin, "__name__", str(origin))
    if name == "Annotated":
      return annotation(arguments[0])
    return f"{name}[{', '.join(map(annotation, arguments))}]" if arguments else name
  return getattr(hint, "__name__", str(hint)).split(".")[-1]


def default(value: Any) -> str:
  """A default in short words; a function's name, for one.

  >>> default(0.1), default(print), default(functools.partial(print, sep=""))
  ('0.1', 'print', 'partial(print, ...)')
  """
  if isinstance(value, functools.partial):
    return f"partial({default(value.func)}, ...)"
  if inspect.isroutine(value) or inspect.isclass(value):
    return "..." if value.__name__ == "<lambda>" else value.__name__
  text = repr(value)
  if " at 0x" in text or text.startswith("<"):
    return getattr(value, "name", "...")
  return text


def signature(value: Callable) -> str:
  """A function's or a class's, in brackets; "" where Python cannot tell.

  >>> from robust_saliency.attacks import distances
  >>> signature(distances)
  '(norm: str | Norm, x: Array, x_adv: Array, fooled: Array) -> Array'
  """
  try:
    found = inspect.signature(value)
  except (TypeError, ValueError):
    return ""
  parts: list[str] = []
  kinds = inspect.Parameter
  marks: dict[Any, str] = {kinds.VAR_POSITIONAL: "*", kinds.VAR_KEYWORD: "**"}
  star = False
  for name, parameter in found.parameters.items():
    if inspect.isclass(value) and name in _OF_FLAX and hasattr(value, "apply"):
      continue
    if parameter.kind is kinds.KEYWORD_ONLY and not star:
      parts.append("*")
      star = True
    star = star or parameter.kind is kinds.VAR_POSITIONAL
    text = marks.get(parameter.kind, "") + name
    typed = parameter.annotation is not kinds.empty
    if typed:
      named, known = _NAMED_BY_ARGUMENT.get(name, ("", None))
      hint = parameter.annotation
      text += f": {named if named and hint == known else annotation(hint)}"
    if parameter.default is not kinds.empty:
      text += f" = {default(parameter.default)}" if typed else f"={default(parameter.default)}"
    parts.append(text)
  back = found.return_annotation
  arrow = "" if inspect.isclass(value) or back is kinds.empty else f" -> {annotation(back)}"
  return f"({', '.join(parts)}){arrow}"
