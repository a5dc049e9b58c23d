"""The one driver over examples: compiled programs of few sizes, on all devices, in float32."""

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.extend.core as jaxprs
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from robust_saliency.core import checks, chosen_precision, files, full_precision, progress
from robust_saliency.core.compiled import kind

# Rows of a program as a fraction of the largest one's.
SIZES = (1, 4, 16)

KEPT = 64  # compiled programs

# (what all examples share, their numbers [B], examples, a pytree [B, ...]) -> a pytree [B, ...].
OfBatch = Callable[[Any, Array, Any], Any]


def over_examples(function: OfBatch, *, batch_size: int) -> Callable[[Any, Any], Any]:
  """Maps a function of single examples over a whole split, in batches, on all local devices.

  Args:
    function: what is computed of a batch, each example by itself. It gets an example's number, so
      that its random numbers depend neither on the batch size nor on the number of devices.
    batch_size: examples per call, over all local devices.

  Returns:
    (what all examples share, host arrays [N, ...]) -> the function's arrays for all N examples, on
    the host. What is shared is copied to the devices once per call of this function.

  >>> double = over_examples(lambda factor, numbers, x: factor * x, batch_size=2)
  >>> double(2.0, np.array([1.0, 2.0, 3.0])).tolist()
  [2.0, 4.0, 6.0]
  """
  programs = RowPrograms(function)

  def apply(shared: Any, examples: Any) -> Any:
    total = len(jax.tree.leaves(examples)[0])
    checks.count(examples=total)
    copies, rows = Shared(shared), min(batch_size, total)
    parts = []
    # One program for all: its rows are filled up in the last batch.
    for start in range(0, total, rows):
      numbers = np.arange(start, min(start + rows, total))
      batch = jax.tree.map(lambda array, n=numbers: np.asarray(array)[n], examples)
      parts.append(programs(copies, numbers, batch, rows=rows))
      progress.count(len(numbers))
    return jax.tree.map(lambda *of_all: np.concatenate(of_all), *parts)

  return apply


class Shared:
  """What all rows share (a network's variables, a key), copied to each device only once.

  Args:
    value: a pytree of arrays, anywhere.
  """

  def __init__(self, value: Any):
    self._value = value
    self._copies: dict[int, Any] = {}

  def on(self, devices: int) -> Any:
    """The value with a copy on each of the first local devices."""
    if devices not in self._copies:
      self._copies[devices] = jax.device_put(self._value, _placed(devices, PartitionSpec()))
    return self._copies[devices]


class RowPrograms:
  """A row-wise function, compiled once for each number of rows that it is called with.

  Its matrix products are in float32 (see `full_precision`). Arrays that the function closes over
  (a network's weights) are arguments of the program, not constants within it, so that programs
  stay small, compile fast, and are the same for all networks of one architecture.

  Args:
    function: (what all rows share, *pytrees of arrays with R rows) -> a pytree of arrays with R
      rows, each row on its own.
    devices: how many devices of this process share the rows; None for all. With 1 the function
      sees all rows at once.

  Attributes:
    compile_seconds: time spent compiling so far.

  >>> times = RowPrograms(lambda factor, x: factor * x)
  >>> times(2.0, np.arange(3.0), rows=4).tolist()
  [0.0, 2.0, 4.0]
  """

  def __init__(self, function: Callable[..., Any], *, devices: int | None = None):
    self._devices = devices
    self._function = full_precision(function)
    self._programs: dict[tuple, _Program] = {}
    self._constants: dict[int, tuple[Any, Shared]] = {}
    self.compile_seconds = 0.0

  def __call__(self, shared: Any, *rows_of: Any, rows: int) -> Any:
    """Applies the function.

    Args:
      shared: the function's first argument: a pytree, or a `Shared` one for several calls; None
        where it needs nothing but its rows.
      *rows_of: host arrays, or pytrees of them, of 1 to `rows` rows.
      rows: the program's number of rows; the last row again fills what is missing.

    Returns:
      What the function returns for the given rows, as NumPy arrays.
    """
    given = len(jax.tree.leaves(rows_of)[0])
    checks.count(given, rows=rows)
    devices = min(self._devices or jax.local_device_count(), rows)
    dealt = np.minimum(np.arange(devices * math.ceil(rows / devices)), given - 1)
    parts = jax.device_put(
      jax.tree.map(lambda array: np.asarray(array)[dealt], rows_of),
      _placed(devices, PartitionSpec("rows")),
    )
    shared = shared if isinstance(shared, Shared) else Shared(shared)
    result = self._program(devices, shared.on(devices), parts)
    return jax.tree.map(lambda array: np.asarray(array)[:given], result)

  def _program(self, devices: int, shared: Any, parts: tuple[Any, ...]) -> Any:
    leaves, structure = jax.tree.flatten((shared, parts))
    # What a program depends on beside its arguments: the user's settings at the time of the call.
    settings = (chosen_precision(), jnp.result_type(float))
    signature = (devices, structure, settings, *map(kind, leaves))
    if signature not in self._programs:
      began = time.monotonic()
      self._programs[signature] = _Program(
        self._function, devices, shared, parts, self._constant_on_devices
      )
      self.compile_seconds += time.monotonic() - began
    return self._programs[signature](shared, parts)

  def _constant_on_devices(self, constant: Any, devices: int) -> Array:
    # Programs of all sizes share one copy. The constant is kept so that its id stays its own.
    _, copies = self._constants.setdefault(id(constant), (constant, Shared(constant)))
    return copies.on(devices)


class _Program:
  """A function compiled for rows of certain shapes, with what it closes over on the devices."""

  def __init__(
    self,
    function: Callable[..., Any],
    devices: int,
    shared: Any,
    parts: tuple[Any, ...],
    constant_on_devices: Callable[[Any, int], Array],
  ):
    on_one_device = jax.tree.map(
      lambda part: jax.ShapeDtypeStruct((len(part) // devices, *part.shape[1:]), part.dtype), parts
    )
    # Shapes alone: traced with its arrays, a program would ask for the mesh that they lie on.
    jaxpr, result = jax.make_jaxpr(function, return_shape=True)(
      jax.tree.map(_shape, shared), *on_one_device
    )
    self._structure = jax.tree.structure(result)
    self._constants = [constant_on_devices(constant, devices) for constant in jaxpr.consts]

    def on_rows(constants: list[Array], shared: list[Array], parts: list[Array]) -> list[Array]:
      return jaxprs.jaxpr_as_fun(jaxprs.ClosedJaxpr(jaxpr.jaxpr, constants))(*shared, *parts)

    everywhere, by_rows = PartitionSpec(), PartitionSpec("rows")
    mapped = jax.shard_map(
      on_rows,
      mesh=_mesh(devices),
      in_specs=(everywhere, everywhere, by_rows),
      out_specs=by_rows,
      check_vma=False,  # nothing passes between devices
    )
    arguments = (self._constants, jax.tree.leaves(shared), jax.tree.leaves(parts))
    lowered = jax.jit(mapped).lower(*arguments)
    text = lowered.as_text()
    if "callback" in text:  # which does not say what is called
      self.compiled = lowered.compile()
      return
    program = (
      files.digest(text.encode()),
      *(tuple(map(kind, leaves)) for leaves in arguments),
      *(device.id for device in jax.local_devices()[:devices]),
    )
    if program not in _RECENT:
      while len(_RECENT) >= KEPT:
        _RECENT.pop(next(iter(_RECENT)))
      _RECENT[program] = lowered.compile()
    self.compiled = _RECENT[program]

  def __call__(self, shared: Any, parts: tuple[Any, ...]) -> Any:
    outputs = self.compiled(self._constants, jax.tree.leaves(shared), jax.tree.leaves(parts))
    return jax.tree.unflatten(self._structure, outputs)


# Networks of one architecture have one program: it is compiled for the first of them.
_RECENT: dict[tuple, jax.stages.Compiled] = {}


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


def _mesh(devices: int) -> Mesh:
  return Mesh(np.array(jax.local_devices()[:devices]), ("rows",))


def _placed(devices: int, spec: PartitionSpec) -> NamedSharding:
  return NamedSharding(_mesh(devices), spec)


def _shape(array: Array) -> jax.ShapeDtypeStruct:
  shape, dtype, weak_type = kind(array)
  return jax.ShapeDtypeStruct(shape, dtype, weak_type=weak_type)
