"""A second call with the same network, shapes and settings compiles nothing.

JAX compiles a loop, or whatever closes over a network, anew at every call outside `jit`; and a
user's own `jit` does so for every new closure, or keeps the weights of an old one. Here a function
is traced at each call, which reads the network as it is now, and the compiled program is looked up
by what was traced.
"""

import collections
import functools
import re
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import jax
import jax.extend.core as jaxprs
import jax.numpy as jnp
import numpy as np

from robust_saliency.core import checks, files

_P = ParamSpec("_P")
_R = TypeVar("_R")

KEPT = 256  # compiled programs

# What was traced -> the program, and what must stay alive as long as it is known.
_PROGRAMS: collections.OrderedDict[tuple, tuple[Callable, Any]] = collections.OrderedDict()


def compiled_once(function: Callable[_P, _R]) -> Callable[_P, _R]:
  """Lets a function of arrays, numbers and functions keep its compiled programs.

  Arrays that it reads, a network's weights among them, are arguments of the program, never
  constants in it: a network that has changed in place gives its new answer, and nothing is
  compiled for new weights. Inside `jit`, `vmap`, `grad` and `pmap` the function is left as it is,
  and so is a call that needs Python while it runs (`jax.pure_callback`).

  Args:
    function: its arrays may come as arguments, or inside functions that it is given.

  >>> weights = {"w": jnp.ones(3)}
  >>> apply = compiled_once(lambda model, x: jax.lax.fori_loop(0, 3, lambda i, x: model(x), x))
  >>> apply(lambda x: x + weights["w"], jnp.zeros(3)).tolist()
  [3.0, 3.0, 3.0]
  >>> weights["w"] = 2 * jnp.ones(3)
  >>> apply(lambda x: x + weights["w"], jnp.zeros(3)).tolist()
  [6.0, 6.0, 6.0]
  """

  @functools.wraps(function)
  def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
    if not all(map(checks.is_concrete, jax.tree.leaves((args, kwargs)))):
      return function(*args, **kwargs)
    # Without arguments, so that values are known where they are checked.
    program = kept(lambda: function(*args, **kwargs))
    return function(*args, **kwargs) if program is None else program()

  return wrapped


def kept(function: Callable[..., _R], *like: Any) -> Callable[..., _R] | None:
  """The compiled form of a function for arguments of these shapes, known from an earlier call.

  It is for numbers, not to be differentiated or mapped: functions that differ in a derivative of
  their own (`jax.custom_vjp`) alone are the same program.

  Args:
    function: of pytrees of arrays; arrays that it closes over become the program's arguments.
    *like: pytrees of arrays or `jax.ShapeDtypeStruct`.

  Returns:
    A function of the same arguments; None inside `jit`, for a function that JAX is differentiating
    or mapping, and for one that needs Python while it runs (`jax.pure_callback`).

  >>> double = kept(lambda x: 2 * x, jnp.zeros(2))
  >>> double(jnp.ones(2)).tolist()
  [2.0, 2.0]
  """
  if not checks.is_concrete(jnp.zeros(())):  # inside `jit` even a constant is traced
    return None
  traced, shape = jax.make_jaxpr(function, return_shape=True)(*like)
  if not all(map(checks.is_concrete, traced.consts)):
    return None
  text = str(traced.jaxpr)
  if "callback" in text:
    return None
  inner = [const for one in _closed_within(traced.jaxpr) for const in one.consts]
  name = (
    files.digest(re.sub(r" at 0x[0-9a-f]+", "", text).encode()),
    tuple(map(kind, traced.consts)),
    # A constant that JAX keeps inside is not printed: another array is another program.
    tuple(map(id, inner)),
  )
  if name not in _PROGRAMS:
    jaxpr = traced.jaxpr

    def run(consts: list[Any], arguments: list[Any]) -> list[Any]:
      return jaxprs.jaxpr_as_fun(jaxprs.ClosedJaxpr(jaxpr, consts))(*arguments)

    _PROGRAMS[name] = (jax.jit(run), inner)
    while len(_PROGRAMS) > KEPT:
      _PROGRAMS.popitem(last=False)
  _PROGRAMS.move_to_end(name)
  program = _PROGRAMS[name][0]
  # Weights on the host go to the device once, not at every call.
  consts = [jnp.asarray(c) if isinstance(c, np.ndarray) else c for c in traced.consts]
  structure = jax.tree.structure(shape)

  def compiled(*arguments: Any) -> Any:
    return jax.tree.unflatten(structure, program(consts, jax.tree.leaves(arguments)))

  return compiled


def kind(array: Any) -> tuple:
  """What a compiled program asks of an array: shape, dtype, and whether the dtype is weak."""
  return np.shape(array), array.dtype, getattr(array, "weak_type", False)  # typed keys have none


def _closed_within(jaxpr: Any) -> Iterator[Any]:
  """All closed programs inside a traced one, however deep."""
  for equation in jaxpr.eqns:
    for parameter in jax.tree.leaves(
      tuple(equation.params.values()),
      is_leaf=lambda leaf: isinstance(leaf, (jaxprs.ClosedJaxpr, jaxprs.Jaxpr)),
    ):
      if isinstance(parameter, jaxprs.ClosedJaxpr):
        yield parameter
        yield from _closed_within(parameter.jaxpr)
      elif isinstance(parameter, jaxprs.Jaxpr):
        yield from _closed_within(parameter)
