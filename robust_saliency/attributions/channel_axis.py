"""Which axis of a layer's maps holds its channels."""

from collections.abc import Callable, Sequence

import numpy as np

from robust_saliency.attributions.elementwise import is_elementwise
from robust_saliency.attributions.traced_program import Operation, Program, has_own_derivative

_SAME = ("concatenate", "pad", "reduce_window", "reduce_window_max", "reduce_window_sum", "slice")


def channel_axis(program: Program, number: int) -> int | None:
  """The axis of the channels in a value of a program, as its convolution says.

  Args:
    program: of `traced_program.trace`.
    number: the value's.

  Returns:
    The axis, counted from 0; None where the value does not come from a convolution or a matrix
    product by operations that are known to keep, move or drop axes.
  """
  [images] = program.inputs
  return _axes(program, {images: len(program.types[images].shape) - 1}).get(number)


def could_be_first(maps: Sequence[int], images: Sequence[int]) -> bool:
  """Whether maps [B, D, h, w] of this shape would have the sides of images [B, H, W, C].

  Of signals, whether maps [B, D, l] would be no longer than signals [B, L, C].

  >>> could_be_first((1, 8, 4, 4), (1, 32, 32, 3)), could_be_first((1, 4, 4, 64), (1, 32, 32, 3))
  (True, False)
  """
  if len(maps) == 3:
    return maps[2] <= images[1]
  (height, width), (rows, columns) = images[1:3], maps[2:4]
  # To a pixel, since strides round.
  return abs(rows * width - columns * height) <= max(height, width)


def _axes(program: Program, given: dict[int, int]) -> dict[int, int]:
  axes = dict(given)
  for operation in program.operations:
    if len(operation.outputs) != 1:
      continue
    [output] = operation.outputs
    if has_own_derivative(operation) and not is_elementwise(operation):
      [body] = operation.bodies
      pairs = zip(body.inputs, operation.inputs, strict=True)
      inside = _axes(body, {inner: axes[outer] for inner, outer in pairs if outer in axes})
      axis = inside.get(body.outputs[0])
    else:
      axis = _axis(operation, program, axes)
    if axis is not None:
      axes[output] = axis
  return axes


def _axis(operation: Operation, program: Program, axes: dict[int, int]) -> int | None:
  name, parameters = operation.name, operation.equation.params
  shapes = [program.types[read].shape for read in operation.inputs]
  shape = program.types[operation.outputs[0]].shape
  if name == "conv_general_dilated":
    return int(parameters["dimension_numbers"].out_spec[1])
  if name == "dot_general":
    (_, contracted), (batch, _) = parameters["dimension_numbers"]
    one_free = len(shapes[1]) - len(contracted) == 1
    return len(shape) - 1 if one_free and not batch and len(shapes[0]) > len(contracted) else None
  known = [
    (axes[read], of_input)
    for read, of_input in zip(operation.inputs, shapes, strict=True)
    if read in axes and len(of_input) > axes[read]
  ]
  if not known:
    return None
  axis, before = known[0]
  keeps = (is_elementwise(operation) and before == shape) or name in (*_SAME, "first_max_pool")
  if keeps:
    return axis
  moved = _MOVES.get(name)
  return None if moved is None else moved(parameters, axis, before, shape)


def _reshaped(_: dict, axis: int, before: Sequence[int], after: Sequence[int]) -> int | None:
  """The axis of the same size with as many numbers before it."""
  places = (i for i, size in enumerate(after) if size == before[axis])
  same = [i for i in places if np.prod(after[:i]) == np.prod(before[:axis])]
  return same[-1] if same and before[axis] > 1 else None


def _squeezed(parameters: dict, axis: int, *_: Sequence[int]) -> int | None:
  dropped = parameters["dimensions"]
  return None if axis in dropped else axis - sum(dimension < axis for dimension in dropped)


def _unstacked(parameters: dict, axis: int, *_: Sequence[int]) -> int | None:
  """Since jax 0.12 that of an index into an axis."""
  dropped = parameters["axis"]
  return None if axis == dropped else axis - (axis > dropped)


_MOVES: dict[str, Callable[..., int | None]] = {
  "transpose": lambda p, axis, *_: p["permutation"].index(axis),
  "broadcast_in_dim": lambda p, axis, *_: p["broadcast_dimensions"][axis],
  "squeeze": _squeezed,
  "unstack": _unstacked,
  "reshape": _reshaped,
}
