"""How our functions are traced: repeated steps, detached models, and in which precision."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency.core import checks
from robust_saliency.core.compiled import compiled_once, kept, kind
from robust_saliency.core.types import LogitsFn

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Up to this many steps a loop is unrolled on CPU by default: XLA's CPU backend has only a slow
# convolution gradient inside loop bodies (jax-ml/jax#12868), and compile time grows with the steps.
UNROLLED_ON_CPU = 10


def repeat(
  step: Callable[[Array | int, Any], Any],
  state: Any,
  *,
  times: int,
  unroll: bool | int | None,
  until: Callable[[Any], Array] | None = None,
  holds_loops: bool = False,
) -> Any:
  """`for i in range(times): state = step(i, state)`, compiled.

  Outside `jit` one step is a program, which is compiled once for all calls (see `compiled.kept`).

  Args:
    step: (index, state) -> state.
    state: any pytree.
    times: the number of steps (static).
    unroll: how many steps share one pass of the compiled loop; True for all of them, None for
      all of them on CPU where they are at most `UNROLLED_ON_CPU`, else one.
    until: state -> whether further steps would change nothing of interest. A compiled loop then
      ends there, with one step per pass; unrolled steps are all taken.
    holds_loops: whether a step itself repeats something: outside `jit` only that is compiled.

  Returns:
    The last state.

  >>> int(repeat(lambda i, total: total + i, 0, times=5, unroll=True))
  10
  """
  checks.unrolled(unroll)
  if times and _is_known(state):
    if holds_loops:
      for i in range(times):
        state = step(i, state)
      return state
    if (program := kept(step, np.int32(0), state)) is not None:
      return _one_by_one(step, program, state, times, until)
  if unroll is None:
    unroll = times <= UNROLLED_ON_CPU and jax.default_backend() == "cpu"
  if unroll is True or times <= 1:
    # No loop at all, so that under `vmap` what does not depend on the mapped number stays single.
    for i in range(times):
      state = step(i, state)
    return state
  if until is not None:
    _, state = jax.lax.while_loop(
      lambda loop: (loop[0] < times) & ~until(loop[1]),
      lambda loop: (loop[0] + 1, step(*loop)),
      (jnp.int32(0), state),
    )
    return state
  return jax.lax.fori_loop(0, times, step, state, unroll=int(unroll) or 1)


def _is_known(values: Any) -> bool:
  # Inside `jit` even a constant is traced.
  return all(map(checks.is_concrete, (jnp.zeros(()), *jax.tree.leaves(values))))


def _one_by_one(
  step: Callable[[Array | int, Any], Any],
  program: Callable[..., Any],
  state: Any,
  times: int,
  until: Callable[[Any], Array] | None,
) -> Any:
  form = _form(state)
  for i in range(times):
    if until is not None and until(state):
      break
    if _form(state) != form:  # a Python number that has become an array, say
      form = _form(state)
      program = kept(step, np.int32(0), state) or step
    state = program(np.int32(i), state)
  return state


def _form(state: Any) -> list[tuple]:
  return [kind(jnp.asarray(leaf)) for leaf in jax.tree.leaves(state)]


def detached(logits_fn: LogitsFn, x: Array) -> LogitsFn:
  """The same function, with no gradient to whatever it closes over.

  An attack inside a training loss would otherwise drag the parameters' tangents through its loop,
  though its result counts as a constant.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K].
    x: images of the shape on which it will be called.

  Returns:
    A function of images of this shape.

  >>> ones = jax.numpy.ones((1, 2))
  >>> float(jax.grad(lambda w: detached(lambda x: w * x, ones)(ones).sum())(3.0))
  0.0
  """
  # A lambda, since modules that hold arrays (dataclasses, Equinox's) cannot be hashed.
  converted, closed_over = jax.closure_convert(lambda images: logits_fn(images), x)
  constants = jax.lax.stop_gradient(closed_over)
  return compiled_once(lambda images: converted(images, *constants))


def floating(logits_fn: LogitsFn) -> LogitsFn:
  """The same function, with the votes of trees, say, as floats, for whatever needs no gradient.

  Args:
    logits_fn: maps images [B, H, W, C] to logits [B, K] of any numbers, or truth values.

  Returns:
    A function that gives float32 in the place of whole numbers and truth values.

  >>> floating(lambda x: x > 0)(jnp.array([[-1.0, 2.0]])).tolist()
  [[0.0, 1.0]]
  """
  checks.network(logits_fn)

  def floats(x: Array) -> Array:
    logits = logits_fn(x)
    # What is no array is refused elsewhere, by name.
    if not isinstance(logits, jax.Array) or jnp.issubdtype(logits.dtype, jnp.inexact):
      return logits
    return logits.astype(jnp.float32)

  return floats


def chosen_precision() -> str | None:
  """The precision of matrix products that the user has set, None for the platform's default."""
  # By name, since jax defines its options at run time, where type checkers do not see them.
  return getattr(jax.config, "jax_default_matmul_precision")  # noqa: B009


def full_precision(function: Callable[_P, _R]) -> Callable[_P, _R]:
  """Makes a function compute matrix products in float32, unless the user has chosen otherwise.

  TPUs multiply in bfloat16 passes and GPUs in TF32 by default, which blunts attacks and
  attributions. A precision that is set already (`jax.default_matmul_precision`) is left alone.
  """

  @functools.wraps(function)
  def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
    if chosen_precision() is not None:
      return function(*args, **kwargs)
    with jax.default_matmul_precision("float32"):
      return function(*args, **kwargs)

  return wrapped


@contextlib.contextmanager
def others_promotions() -> Iterator[None]:
  """Lets code that is not ours convert dtypes and ranks, where the user has told jax to refuse it.

  Optax does, in its projections and in Adam, so that nobody could use it with
  `jax_numpy_dtype_promotion="strict"` or `jax_numpy_rank_promotion="raise"`.
  """
  with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
    yield


def wide_dtype(array: Array) -> Any:
  """In which sums, losses and distances of these numbers are kept: float32 at least.

  In half precision a sum of a few hundred equal numbers no longer grows, and one of 65,504 ends.

  >>> wide_dtype(jnp.zeros(1, jnp.bfloat16)), wide_dtype(jnp.zeros(1))
  (dtype('float32'), dtype('float32'))
  """
  return jnp.promote_types(array.dtype, jnp.float32)


def widened(array: Array) -> Array:
  """The same numbers in their `wide_dtype`."""
  return array.astype(wide_dtype(array))
