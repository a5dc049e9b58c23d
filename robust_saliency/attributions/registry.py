"""The attributions by name, for configs: ours, each declared in its own file, and one's own.

`expected_gradients`, which needs background images, is not among them.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from jax import Array

from robust_saliency.core import Bounds, checks, registry
from robust_saliency.core.binding import bind, find, settings_of

# Whether maps may have negative values: always or never, or as all of an attribution's settings
# say, those that were left at their defaults among them.
Signed = bool | Callable[[Mapping[str, Any]], bool]

# Both are filled by the declarations.
ATTRIBUTIONS: dict[str, Callable] = {}
_SIGNED: dict[str, Signed] = {}

_Function = TypeVar("_Function", bound=Callable[..., Array])


def attribution(*, signed: Signed) -> Callable[[_Function], _Function]:
  """Enters a function into `ATTRIBUTIONS` under its own name: `@attribution(signed=True)`.

  Args:
    signed: as in `register`.

  Returns:
    A decorator that gives the function back as it is.
  """

  def declare(function: _Function) -> _Function:
    register(function.__name__, function, signed=signed)
    return function

  return declare


def register(name: str, attribution: Callable, *, signed: Signed = True) -> Callable:
  """Lets configs and commands name an attribution of your own.

  Args:
    name: what configs call it.
    attribution: `(key, logits_fn, x, y, *, hyper-parameters) -> map of x's shape`.
    signed: whether its maps may have negative values: a bool, or a function of its settings, which
      is given the defaults, too.

  Returns:
    The attribution.

  Raises:
    ValueError, TypeError: for a name that is taken or not a string.
  """
  checks.function(attribution=attribution)
  if not callable(signed):
    checks.flag(signed=signed)
  registry.register(ATTRIBUTIONS, name, attribution, what="attribution")
  _SIGNED[name] = signed
  return attribution


def is_signed(settings: Mapping[str, Any]) -> bool:
  """Whether the maps of an attribution may be negative; the others are >= 0 at every pixel.

  Args:
    settings: {"name": one of `ATTRIBUTIONS`, and any of its keyword hyper-parameters}.

  >>> is_signed({"name": "gradient"}), is_signed({"name": "vargrad"})
  (True, False)
  >>> is_signed({"name": "smoothgrad", "attribution": {"name": "grad_cam"}})
  False
  """
  name = settings["name"]
  signed = _SIGNED.get(name, True)
  if not callable(signed):
    return signed
  defaults = {one: of.default for one, of in settings_of(ATTRIBUTIONS[name]).items()}
  return signed({**defaults, **settings})


def get_attribution(settings: Mapping[str, Any], *, bounds: Bounds | None = None) -> Callable:
  """The attribution that a config describes, with its hyper-parameters bound.

  Args:
    settings: {"name": one of `ATTRIBUTIONS`, and any of its keyword hyper-parameters}. Where
      that attribution wraps another, "attribution" is again such a mapping.
    bounds: (low, high) of the pixels, for each of the attributions that has an argument for them
      and is not given others; None leaves them at their own.

  Returns:
    `(key, logits_fn, x, y) -> map of x's shape`.

  Raises:
    ValueError, TypeError: for an unknown name or setting, or settings that are not a mapping.

  >>> get_attribution({"name": "smoothgrad", "samples": 3}).keywords
  {'samples': 3}
  """
  checks.mapping(**{"settings of attribution": settings})
  if bounds is not None:
    checks.pixel_bounds(bounds)
  settings = dict(settings)
  inner: Any = settings.get("attribution")
  if "attribution" in settings and not callable(inner):
    checks.mapping(**{"the attribution inside another": inner})
    settings["attribution"] = get_attribution(inner, bounds=bounds)
  function = find(ATTRIBUTIONS, settings)
  if bounds is not None and function is not None and "bounds" in settings_of(function):
    settings = {"bounds": bounds, **settings}
  return bind(ATTRIBUTIONS, settings, what="attribution")
