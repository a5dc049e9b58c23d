"""What no field and no argument of a kind can mean, written by hand.

Kept apart from whatever the package says of its fields: a fuzzer that reads the schema finds only
what the schema refuses. Values about which one could argue (an epsilon of 5, a flag of 1) are left
out. What a place allows besides its kind (None for a field that may be left out, a function for a
name) is taken away where it is used, by the names of the types.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Type -> values.
VALUES: dict[str, tuple[Any, ...]] = {
  "none": (None,),
  "word": ("no such thing", "", "naïve\0"),
  "number in text": ("3", "0.1"),
  "flag": (True,),
  "flag in text": ("False", "yes"),
  "whole number": (3,),
  "two": (2,),
  "zero": (0,),
  "negative": (-1,),
  "little less than zero": (-0.001,),
  "fractional": (2.5,),
  "little more than one": (1.001,),
  "nan": (math.nan,),
  "infinite": (math.inf, -math.inf),
  "huge": (10**400, 10**5000),
  "huge float": (1e30,),
  "complex": (1j,),
  "bytes": (b"3",),
  "empty list": ([], ()),
  "list of words": (["a", "b"],),
  "list of numbers": ([0.25, 0.75],),
  "list of lists": ([[0.1]],),
  "list of flags": ([True],),
  "list of none": ([None],),
  "list with nan": ([0.0, math.nan],),
  "list with a negative": ([-1],),
  "list of equals": ([1, 1],),
  "set": ({3},),
  "empty mapping": ({},),
  "mapping": ({"a": 1},),
  "mapping without names": ({1: 2},),
  "object": (object(),),
  "function": (len,),
  "numbers in an array": (np.array([0.25, 0.75], np.float32),),
  "array of words": (np.array(["a", "b"]),),
}

_NO_NUMBER = ("none", "word", "number in text", "flag", "nan", "infinite", "huge", "complex",
              "bytes", "empty list", "list of words", "list of numbers", "set", "empty mapping",
              "mapping", "object", "function", "numbers in an array", "array of words")  # fmt: skip
_NO_TEXT = ("none", "flag", "whole number", "fractional", "nan", "infinite", "huge", "bytes",
            "empty list", "list of words", "set", "empty mapping", "mapping", "object",
            "numbers in an array")  # fmt: skip
_NO_LIST = ("none", "word", "number in text", "flag", "whole number", "fractional", "nan", "huge",
            "empty mapping", "mapping", "object", "function", "list of none", "list of lists",
            "array of words")  # fmt: skip

# Kind of a field or an argument -> the types of what it cannot be.
KINDS: dict[str, tuple[str, ...]] = {
  # Numbers.
  "count": (*_NO_NUMBER, "zero", "negative", "fractional", "huge float"),
  "count or zero": (*_NO_NUMBER, "negative", "fractional", "huge float"),
  "whole number": (*_NO_NUMBER, "fractional", "huge float"),
  "number": _NO_NUMBER,
  "number >= 0": (*_NO_NUMBER, "negative", "little less than zero"),
  "number > 0": (*_NO_NUMBER, "negative", "little less than zero", "zero"),
  "fraction": (*_NO_NUMBER, "negative", "little less than zero", "little more than one"),
  "flag": ("none", "word", "number in text", "flag in text", "two", "fractional", "nan", "huge",
           "bytes", "empty list", "list of flags", "empty mapping", "mapping", "object",
           "function", "numbers in an array"),
  # How many steps share a pass of a compiled loop: a flag or a count.
  "unroll": ("word", "number in text", "flag in text", "negative", "fractional", "nan", "infinite",
             "huge", "bytes", "empty list", "list of flags", "mapping", "object", "function",
             "numbers in an array"),
  # Texts.
  "text": (*_NO_TEXT, "empty text", "unprintable"),
  "name": (*_NO_TEXT, "word", "function"),
  "name or function": (*_NO_TEXT, "word"),
  # Structures.
  "mapping": ("none", "word", "flag", "whole number", "fractional", "nan", "huge", "empty list",
              "list of words", "set", "object", "function", "mapping without names",
              "numbers in an array"),
  "full mapping": ("none", "word", "flag", "whole number", "fractional", "nan", "huge",
                   "empty list", "list of words", "set", "object", "function",
                   "mapping without names", "empty mapping", "numbers in an array"),
  "radii": (*_NO_LIST, "empty list", "list of words", "list of flags", "list with nan",
            "list with a negative", "list of equals"),
  "names": (*_NO_LIST, "empty list", "list of numbers", "list of flags", "list of equals",
            "list of words"),
  "counts": (*_NO_LIST, "list of words", "list of numbers", "list of flags", "list with nan",
             "list with a negative", "list of equals"),
  "layer sizes": (*_NO_LIST, "list of words", "list of numbers", "list of flags", "list with nan",
                  "list with a negative"),
  "bounds": ("none", "word", "number in text", "flag", "whole number", "nan", "huge", "empty list",
             "list of words", "list of lists", "list of flags", "list of none", "list with nan",
             "list with a negative", "list of equals", "empty mapping", "mapping", "object",
             "function", "falling pair", "endless pair", "three numbers"),
  "seeds": (*_NO_LIST, "empty list", "list of words", "list of numbers", "list of flags",
            "list with nan", "list with a negative", "list of equals", "list of huge"),
  "table": ("word", "number in text", "flag", "whole number", "fractional", "nan", "huge",
            "list of words", "list of numbers", "empty mapping", "mapping", "object", "function"),
  # What the library alone is given.
  "function": ("none", "word", "flag", "whole number", "fractional", "nan", "empty list",
               "list of words", "empty mapping", "mapping", "object", "numbers in an array"),
  "key": ("none", "word", "flag", "whole number", "negative", "nan", "empty list",
          "list of numbers", "mapping", "object", "function", "numbers in an array", "no key"),
  "images": ("none", "word", "flag", "whole number", "nan", "empty list", "list of numbers",
             "mapping", "object", "function", "array of words", "no images"),
  "labels": ("none", "word", "flag", "whole number", "nan", "empty list", "list of words",
             "mapping", "object", "function", "numbers in an array", "array of words",
             "no labels", "several labels each"),
  "logits": ("none", "word", "flag", "whole number", "empty list", "mapping", "object", "function",
             "array of words", "no logits"),
  "probabilities": ("none", "word", "flag", "whole number", "nan", "list of numbers", "mapping",
                    "object", "function", "numbers in an array", "no probabilities"),
  "network": ("none", "word", "flag", "whole number", "empty list", "mapping", "object",
              "numbers in an array", "no network"),
  "norm": ("none", "flag", "whole number", "nan", "empty list", "list of words", "mapping",
           "object", "function", "word"),
  "maps": ("none", "word", "flag", "empty list", "mapping", "object", "function",
           "array of words"),
  "segments": ("none", "word", "flag", "whole number", "nan", "empty list", "list of words",
               "empty mapping", "mapping", "object", "array of words", "numbers in an array"),
  "path": ("flag", "whole number", "fractional", "nan", "empty list", "list of words", "mapping",
           "object", "function"),
}  # fmt: skip

VALUES |= {
  "empty text": ("", "  "),
  "unprintable": ("a\0b", "\ud800"),
  "falling pair": ([1, 0],),
  "endless pair": ([0, math.inf],),
  "three numbers": ([0, 0.5, 1],),
  "list of huge": ([2**32], [10**400]),
  "no key": (np.zeros(2), np.zeros(3, np.uint32), np.array("a")),
  "no images": (
    jnp.float32(0.5),
    jnp.full(2, 0.5),
    jnp.zeros((2, 4, 4, 1), jnp.uint8),
    jnp.zeros((2, 4, 4, 1), bool),
    jnp.full((2, 4, 4, 1), jnp.nan),
    jnp.full((2, 4, 4, 1), jnp.inf),
  ),
  "no labels": (
    jnp.array([0.0, 1.0]),
    jnp.array([True, False]),
    jnp.array([-1, 0]),
    jnp.array([0, 4]),
    jnp.array([0]),
    jnp.array([0, 1, 2]),
    jnp.array(0),
  ),
  "several labels each": (jnp.array([[0, 1], [0, 1]]), jnp.eye(4, dtype=int)[:2]),
  "no logits": (
    jnp.float32(0.5),
    jnp.zeros(4),
    jnp.zeros((2, 4, 1)),
    jnp.zeros((2, 4), bool),
  ),
  "no probabilities": (
    jnp.array([0, 1]),
    jnp.ones((2, 4)),
    jnp.full((4,), 0.25),
    jnp.full((1, 4), 0.25),
    jnp.full((2, 2), 0.5),
    jnp.full((2, 4), jnp.nan),
    jnp.array([[1.5, -0.5, 0, 0]] * 2),
    jnp.zeros((2, 4)),
  ),
  "no network": (
    lambda: jnp.zeros((2, 4)),
    lambda x, y: jnp.zeros((len(x), 4)),
    lambda x: x.reshape(len(x), -1)[:, 0],
    lambda x: x[..., :1],
    lambda x: x.reshape(len(x), -1)[:1, :4],
    lambda x: (x.reshape(len(x), -1)[:, :4],) * 2,
    lambda x: {"logits": x.reshape(len(x), -1)[:, :4]},
    lambda x: None,
    lambda x: 0.0,
  ),
}


def of(kind: str, *but: str) -> list[tuple[str, Any]]:
  """Type and value of all that this kind cannot be, without the types that this place allows.

  >>> [value for _, value in of("flag", "none", "object")][:2]
  ['no such thing', '']
  """
  return [(one, value) for one in KINDS[kind] if one not in but for value in VALUES[one]]


def is_array(value: Any) -> bool:
  """Whether only the library, and no config, could be given this."""
  return isinstance(value, (np.ndarray, jax.Array))
