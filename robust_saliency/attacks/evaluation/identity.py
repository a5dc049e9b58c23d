"""What a run of attacks follows from, as JSON, so that no two runs are mixed."""

import functools
import re
import types
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from robust_saliency.core import Norm, files

# Logits of one network differ by less between machines, those of two networks by far more.
LOGITS_TOLERANCE = 1e-4


def describe(value: Any) -> Any:
  """A value as JSON: equal settings give equal descriptions in every process.

  A partial is its function and its keywords, an array its shape and digest, a function of ours
  its name, a function of the user's its name, its code, its defaults, what it closes over and the
  numbers and functions of its own file that it names, and an object of a class what it holds.

  >>> describe(functools.partial(describe, value=2))
  {'function': 'robust_saliency.attacks.evaluation.identity.describe', 'value': 2}
  """
  return _described(value, ())


def _described(value: Any, around: tuple[int, ...]) -> Any:
  """The same within the objects of these addresses, which may hold one another."""
  if value is None or isinstance(value, (bool, int, float, str)):
    return value
  if isinstance(value, Norm):
    return value.name
  if isinstance(value, (jax.Array, np.ndarray, np.generic)):
    return _array(value)
  if id(value) in around:
    return "itself"
  around = (*around, id(value))
  if isinstance(value, (list, tuple)):
    return [_described(item, around) for item in value]
  if isinstance(value, Mapping):
    return {str(name): _described(item, around) for name, item in value.items()}
  if isinstance(value, functools.partial):
    positional = {"arguments": _described(value.args, around)} if value.args else {}
    keywords = _described(value.keywords, around)
    return {**_function(value.func, around), **positional, **keywords}
  if callable(value):
    return _function(value, around)
  return _held(value, around) or re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def differences(known: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
  """What differs between two identities, in words.

  Both have "logits", the network's on a few images (or None), which may differ by rounding.
  """
  words = []
  for name in dict.fromkeys([*known, *given]):
    ours, theirs = given.get(name), known.get(name)
    if name == "logits":
      same = _close(theirs, ours)
      words += [] if same else ["the network's logits"]
    elif ours != theirs:
      short = len(f"{theirs}{ours}") < 100
      words.append(f"{name} ({theirs} there, {ours} here)" if short else name)
  return words


def _close(known: Any, given: Any) -> bool:
  if known is None or given is None:
    return known is given
  first, second = np.array(known, float), np.array(given, float)
  if first.shape != second.shape:
    return False
  scale = np.max(np.abs(first[np.isfinite(first)]), initial=0.0)
  return np.allclose(first, second, rtol=0, atol=LOGITS_TOLERANCE * scale, equal_nan=True)


def _array(value: Any) -> Any:
  if jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key):
    value = jax.random.key_data(value)
  array = np.asarray(value)
  if array.ndim == 0:
    return array.item()
  return {
    "shape": list(array.shape),
    "dtype": str(array.dtype),
    "sha256": files.digest(array.tobytes()),
  }


def _function(function: Callable[..., Any], around: tuple[int, ...]) -> dict[str, Any]:
  if isinstance(function, types.MethodType):
    return {**_function(function.__func__, around), "of": _described(function.__self__, around)}
  module = getattr(function, "__module__", None) or ""
  name = getattr(function, "__qualname__", type(function).__qualname__)
  description: dict[str, Any] = {"function": f"{module}.{name}"}
  if module.split(".")[0] == __name__.split(".")[0] and "<" not in name:
    return description
  if (wrapped := getattr(function, "__wrapped__", None)) is not None:  # as by jax.jit
    return {**description, "wraps": _described(wrapped, around)}
  if isinstance(function, types.FunctionType):
    return description | _contents(function, around)
  if isinstance(function, type):
    return description
  call = type(function).__call__
  own = _contents(call, around) if isinstance(call, types.FunctionType) else {}
  return description | own | (_held(function, around) or {})


def _contents(function: types.FunctionType, around: tuple[int, ...]) -> dict[str, Any]:
  """Whatever two functions of one name can differ by."""
  code = function.__code__
  cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
  parts = {
    "defaults": [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items()],
    "closes over": {name: _cell(cell) for name, cell in cells},
    "names": {
      name: function.__globals__[name]
      for name in sorted(_names(code))
      if _is_own(function.__globals__.get(name), function.__module__)
    },
  }
  return {
    "code": _code(code),
    **{name: _described(part, around) for name, part in parts.items() if part},
  }


def _cell(cell: types.CellType) -> Any:
  try:
    return cell.cell_contents
  except ValueError:  # a name that is bound later
    return None


def _is_own(value: Any, module: str | None) -> bool:
  """Whether a name of a file stands for a number, an array, or a function of that same file."""
  if isinstance(value, types.FunctionType):
    return value.__module__ == module
  return isinstance(value, (bool, int, float, str, list, tuple, dict, np.ndarray, jax.Array))


def _names(code: types.CodeType) -> set[str]:
  nested = (_names(one) for one in code.co_consts if isinstance(one, types.CodeType))
  return set(code.co_names).union(*nested)


def _held(value: Any, around: tuple[int, ...]) -> dict[str, Any] | None:
  """What an object holds; None where that cannot be seen."""
  try:
    held = vars(value)
  except TypeError:
    return None
  return {"class": type(value).__qualname__, "holds": _described(dict(held), around)}


def _code(code: types.CodeType) -> str:
  constants = [c for c in code.co_consts if not isinstance(c, types.CodeType)]
  nested = [_code(c) for c in code.co_consts if isinstance(c, types.CodeType)]
  return files.digest(code.co_code + repr((constants, code.co_names, nested)).encode())
