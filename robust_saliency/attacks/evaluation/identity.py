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


def describe(value: Any, depth: int = 3) -> Any:
  """A value as JSON: equal settings give equal descriptions in every process.

  A partial is its function and its keywords, an array its shape and digest, a function of ours
  its name, and a function of the user's its name, its code and what it closes over.

  >>> describe(functools.partial(describe, depth=2))
  {'function': 'robust_saliency.attacks.evaluation.identity.describe', 'depth': 2}
  """
  if value is None or isinstance(value, (bool, int, float, str)):
    return value
  if isinstance(value, Norm):
    return value.name
  if isinstance(value, (jax.Array, np.ndarray, np.generic)):
    return _array(value)
  if isinstance(value, (list, tuple)):
    return [describe(item, depth) for item in value]
  if isinstance(value, Mapping):
    return {str(name): describe(item, depth) for name, item in value.items()}
  if isinstance(value, functools.partial):
    positional = {"arguments": describe(value.args, depth)} if value.args else {}
    return {**_function(value.func, depth), **positional, **describe(value.keywords, depth)}
  if callable(value):
    return _function(value, depth)
  return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


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


def _function(function: Callable[..., Any], depth: int) -> dict[str, Any]:
  module = getattr(function, "__module__", "")
  name = getattr(function, "__qualname__", type(function).__qualname__)
  description: dict[str, Any] = {"function": f"{module}.{name}"}
  ours = module.split(".")[0] == __name__.split(".")[0] and "<" not in name
  if ours or not isinstance(function, types.FunctionType) or depth == 0:
    return description
  description["code"] = _code(function.__code__)
  cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
  if cells:
    description["closes over"] = {n: describe(c.cell_contents, depth - 1) for n, c in cells.items()}
  return description


def _code(code: types.CodeType) -> str:
  constants = [c for c in code.co_consts if not isinstance(c, types.CodeType)]
  nested = [_code(c) for c in code.co_consts if isinstance(c, types.CodeType)]
  return files.digest(code.co_code + repr((constants, code.co_names, nested)).encode())
