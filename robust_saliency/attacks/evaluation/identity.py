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
  numbers, arrays and functions of its own file that it names, and an object what it holds. Modules
  and classes are their names.

  >>> describe(functools.partial(describe, value=2))
  {'function': 'robust_saliency.attacks.evaluation.identity.describe', 'value': 2}
  """
  return _Description().of(value)


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


class _Description:
  """Describes each object once, however many others hold it, and those that hold one another."""

  def __init__(self) -> None:
    # Address -> the object, so that no other one takes its address, and which one it is.
    self._known: dict[int, tuple[Any, int]] = {}
    self._around: list[int] = []

  def of(self, value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
      return value
    if isinstance(value, Norm):
      return value.name
    if isinstance(value, (jax.Array, np.ndarray, np.generic)):
      return _array(value)
    if isinstance(value, types.ModuleType):
      return value.__name__
    if isinstance(value, type):
      return _name_of(value)
    if isinstance(value, (list, tuple, Mapping)):
      return self._of_each(value)
    if id(value) in self._known:
      return {"again": self._known[id(value)][1]}
    self._known[id(value)] = value, len(self._known)
    if isinstance(value, functools.partial):
      positional = {"arguments": self.of(value.args)} if value.args else {}
      return {**self.of(value.func), **positional, **self.of(value.keywords)}
    if callable(value):
      return self._of_callable(value)
    held = self._held(value)
    return {"class": _name_of(type(value)), **held} if held else _shown(value)

  def _of_each(self, values: Any) -> Any:
    # In full each time: whether two equal tuples are one object is an accident.
    if id(values) in self._around:
      return "itself"
    self._around.append(id(values))
    if isinstance(values, Mapping):
      found: Any = {str(name): self.of(item) for name, item in values.items()}
    else:
      found = [self.of(item) for item in values]
    self._around.pop()
    return found

  def _of_callable(self, function: Callable[..., Any]) -> dict[str, Any]:
    if isinstance(function, types.MethodType):
      return {**self.of(function.__func__), "bound to": self.of(function.__self__)}
    name = _name_of(function if hasattr(function, "__qualname__") else type(function))
    description: dict[str, Any] = {"function": name}
    if name.split(".")[0] == __name__.split(".")[0] and "<" not in name:
      return description
    if isinstance(function, types.FunctionType):
      return description | self._contents(function)
    if (wrapped := getattr(function, "__wrapped__", None)) is not None:  # as by jax.jit
      return {**description, "wraps": self.of(wrapped)}
    call = type(function).__call__
    own = self._contents(call) if isinstance(call, types.FunctionType) else {}
    return description | own | self._held(function)

  def _contents(self, function: types.FunctionType) -> dict[str, Any]:
    """Whatever two functions of one name can differ by."""
    code = function.__code__
    cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
    named = {name: function.__globals__.get(name) for name in sorted(_names(code))}
    parts: dict[str, Any] = {
      "defaults": {
        **dict(enumerate(function.__defaults__ or ())),
        **(function.__kwdefaults__ or {}),
      },
      "closes over": {name: _cell(cell) for name, cell in cells},
      "names": {n: one for n, one in named.items() if _is_own(one, function.__module__)},
    }
    return {
      "code": _code(code),
      **{name: self.of(part) for name, part in parts.items() if part},
    }

  def _held(self, value: Any) -> dict[str, Any]:
    """What an object holds; nothing where that cannot be seen."""
    held = getattr(value, "__dict__", None)
    return {"holds": self.of(dict(held))} if held else {}


def _name_of(one: Any) -> str:
  return f"{getattr(one, '__module__', None) or ''}.{one.__qualname__}"


def _shown(value: Any) -> str:
  return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def _cell(cell: types.CellType) -> Any:
  try:
    return cell.cell_contents
  except ValueError:  # a name that is bound later
    return None


def _is_own(value: Any, module: str | None) -> bool:
  """Whether a name of a file stands for numbers, an array, or a function of that same file."""
  if isinstance(value, types.FunctionType):
    return value.__module__ == module
  if isinstance(value, (list, tuple)):
    return all(isinstance(item, (bool, int, float, str)) for item in value)
  return isinstance(value, (bool, int, float, str, np.ndarray, jax.Array))


def _names(code: types.CodeType) -> set[str]:
  nested = (_names(one) for one in code.co_consts if isinstance(one, types.CodeType))
  return set(code.co_names).union(*nested)


def _code(code: types.CodeType) -> str:
  constants = [c for c in code.co_consts if not isinstance(c, types.CodeType)]
  nested = [_code(c) for c in code.co_consts if isinstance(c, types.CodeType)]
  return files.digest(code.co_code + repr((constants, code.co_names, nested)).encode())
