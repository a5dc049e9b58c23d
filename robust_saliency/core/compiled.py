"""A second call with the same network, shapes and settings compiles nothing.

JAX compiles what a function of ours does anew at every call outside `jit`, since its loops close
over the network; and a user's own `jit` does so for every new closure, or keeps the weights of an
old one. Here a call is traced each time, which runs its checks and reads the network as it is now,
and the compiled program is looked up by what was traced.
"""

import collections
import functools
import re
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import jax
import jax.extend.core as jaxprs
import jax.numpy as jnp

from robust_saliency.core import checks, files

_P = ParamSpec("_P")
_R = TypeVar("_R")

KEPT = 128  # compiled programs

# What was traced -> the program, and what must stay alive as long as it is known.
_PROGRAMS: collections.OrderedDict[tuple, tuple[Any, Any]] = collections.OrderedDict()


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
    # Inside `jit` even a constant is traced.
    given = [jnp.zeros(()), *jax.tree.leaves((args, kwargs))]
    if not all(map(checks.is_concrete, given)):
      return function(*args, **kwargs)
    # Without arguments, so that values are known where they are checked.
    traced, shape = jax.make_jaxpr(lambda: function(*args, **kwargs), return_shape=True)()
    if not all(map(checks.is_concrete, traced.consts)):
      return function(*args, **kwargs)
    text = str(traced.jaxpr)
    if "callback" in text:
      return function(*args, **kwargs)
    inner = [const for one in _closed_within(traced.jaxpr) for const in one.consts]
    program = (
      files.digest(re.sub(r" at 0x[0-9a-f]+", "", text).encode()),
      tuple(map(_kind, traced.consts)),
      # A constant that JAX keeps inside is not printed: another array is another program.
      tuple(map(id, inner)),
    )
    if program not in _PROGRAMS:
      jaxpr = traced.jaxpr

      def run(consts: list[Any]) -> list[Any]:
        return jaxprs.jaxpr_as_fun(jaxprs.ClosedJaxpr(jaxpr, consts))()

      _PROGRAMS[program] = (jax.jit(run), inner)
      while len(_PROGRAMS) > KEPT:
        _PROGRAMS.popitem(last=False)
    _PROGRAMS.move_to_end(program)
    outputs = _PROGRAMS[program][0](traced.consts)
    return jax.tree.unflatten(jax.tree.structure(shape), outputs)

  return wrapped


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


def _kind(array: Any) -> tuple:
  return array.shape, array.dtype, getattr(array, "weak_type", False)
