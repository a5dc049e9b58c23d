"""A function of rows as a few compiled programs: one for each number of rows, on all devices."""

import functools
import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as jaxprs
import numpy as np

from robust_saliency.core import checks, files, full_precision

# Rows of a program as a fraction of the largest one's.
SIZES = (1, 4, 16)

KEPT = 64  # compiled programs


class RowPrograms:
  """A row-wise function, compiled once for each number of rows that it is called with.

  Arrays that the function closes over (a network's weights) are arguments of the program, not
  constants within it, so that programs stay small and compile fast.

  Args:
    function: maps arrays with R rows to arrays with R rows, each row on its own.
    devices: how many devices of this process share the rows; None for all. With 1 the function
      sees all rows at once.

  Attributes:
    compile_seconds: time spent compiling so far.

  >>> double = RowPrograms(lambda x: 2 * x)
  >>> double(np.arange(3.0), rows=4).tolist()
  [0.0, 2.0, 4.0]
  """

  def __init__(self, function: Callable[..., Any], *, devices: int | None = None):
    self._devices = devices or jax.local_device_count()
    self._function = full_precision(function)
    self._compiled: dict[tuple, Callable[..., Any]] = {}
    self.compile_seconds = 0.0

  def __call__(self, *arrays: np.ndarray, rows: int) -> Any:
    """Applies the function.

    Args:
      *arrays: arrays of 1 to `rows` rows.
      rows: the program's number of rows; the last row again fills what is missing.

    Returns:
      What the function returns for the given rows, as NumPy arrays.
    """
    given = len(arrays[0])
    checks.count(given, rows=rows)
    devices = min(self._devices, rows)
    each = math.ceil(rows / devices)
    dealt = np.minimum(np.arange(devices * each), given - 1).reshape(devices, each)
    parts = [np.asarray(array)[dealt] for array in arrays]
    result = self._program(devices, parts)(*parts)
    return jax.tree.map(lambda a: np.asarray(a).reshape(-1, *a.shape[2:])[:given], result)

  def _program(self, devices: int, parts: list[np.ndarray]) -> Callable[..., Any]:
    shapes = [jax.ShapeDtypeStruct(part.shape[1:], part.dtype) for part in parts]
    signature = (devices, *((shape.shape, shape.dtype) for shape in shapes))
    if signature not in self._compiled:
      began = time.monotonic()
      self._compiled[signature] = _compile(self._function, shapes, jax.local_devices()[:devices])
      self.compile_seconds += time.monotonic() - began
    return self._compiled[signature]


def pack(count: int, batch_size: int) -> list[tuple[int, int]]:
  """Cuts examples into batches of few sizes, without many rows of padding.

  Full batches first; what is left goes into one more of them where it fills more than half of it,
  else into batches of a quarter, and so on down to the smallest of `SIZES`.

  Args:
    count: number of examples.
    batch_size: the largest number of rows.

  Returns:
    (examples, rows) of each batch, in order; the examples add up to `count`.

  >>> pack(1120, 512)
  [(512, 512), (512, 512), (96, 128)]
  """
  sizes = list(dict.fromkeys(math.ceil(batch_size / part) for part in SIZES))
  batches = []
  for i, rows in enumerate(sizes):
    smallest = i == len(sizes) - 1
    while count and (smallest or 2 * count > rows):
      examples = min(count, rows)
      batches.append((examples, rows))
      count -= examples
  return batches


def _compile(
  function: Callable[..., Any], shapes: list[jax.ShapeDtypeStruct], devices: list[Any]
) -> Callable[..., Any]:
  jaxpr, result = jax.make_jaxpr(function, return_shape=True)(*shapes)
  structure = jax.tree.structure(result)
  constants = jaxpr.consts

  def on_one_device(constants: list[Any], *arrays: jax.Array) -> list[jax.Array]:
    return jaxprs.jaxpr_as_fun(jaxprs.ClosedJaxpr(jaxpr.jaxpr, constants))(*arrays)

  # An axis without a name is named after its address, and no two programs are alike.
  mapped = jax.pmap(
    on_one_device, axis_name=_AXIS, in_axes=(None, *[0] * len(shapes)), devices=devices
  )
  each = [jax.ShapeDtypeStruct((len(devices), *shape.shape), shape.dtype) for shape in shapes]
  lowered = mapped.lower(constants, *each)
  text = lowered.as_text()
  if "callback" in text:  # which does not say what is called
    return functools.partial(_run, lowered.compile(), structure, constants)
  program = (files.digest(text.encode()), *(device.id for device in devices))
  if program not in _RECENT:
    while len(_RECENT) >= KEPT:
      _RECENT.pop(next(iter(_RECENT)))
    _RECENT[program] = lowered.compile()
  return functools.partial(_run, _RECENT[program], structure, constants)


# Networks of one architecture have one program: it is compiled for the first of them.
_RECENT: dict[tuple, jax.stages.Compiled] = {}


_AXIS = "rows of a program"


def _run(
  compiled: jax.stages.Compiled, structure: Any, constants: list[Any], *arrays: np.ndarray
) -> Any:
  return jax.tree.unflatten(structure, compiled(constants, *arrays))
