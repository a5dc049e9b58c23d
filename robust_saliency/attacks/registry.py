"""The attacks by name, for configs: ours, each declared in its own file, and one's own."""

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar, overload

from robust_saliency.core import Bounds, checks, registry
from robust_saliency.core.binding import bind, settings_of

# Both are filled by the declarations, in the order in which `attacks/__init__.py` lists the files.
ATTACKS: dict[str, Callable] = {}

# The norms of attacks that let nobody choose one. JSMA counts the pixels that it changes.
FIXED_NORMS: dict[str, str] = {}

# Settings of an attack -> whether it takes one step, from the images themselves.
OneStep = Callable[..., bool]
_ONE_STEP: list[tuple[Callable, OneStep]] = []

_Function = TypeVar("_Function", bound=Callable)


@overload
def attack(function: _Function) -> _Function: ...
@overload
def attack(
  *, norm: str | None = None, one_step: bool | OneStep = False
) -> Callable[[_Function], _Function]: ...
def attack(function: Callable | None = None, **declaration: Any) -> Callable:
  """`register` as a decorator, under the function's own name: `@attack`, `@attack(norm="l2")`."""
  if function is None:
    return lambda function: register(function.__name__, function, **declaration)
  return register(function.__name__, function)


def register(
  name: str, attack: Callable, *, norm: str | None = None, one_step: bool | OneStep = False
) -> Callable:
  """Lets configs name an attack of your own.

  Args:
    name: what configs call it.
    attack: `(key, logits_fn, x, y, *, hyper-parameters) -> x_adv`; what it has of epsilon, norm
      and bounds is given to it like to ours.
    norm: the norm in which it counts its changes, where it has no argument for one.
    one_step: whether it reads the network at the images themselves alone, their logits and their
      gradient, which training then has already; True, or a function of its settings that says so.

  Returns:
    The attack.

  Raises:
    ValueError, TypeError: for a name that is taken or not a string, or an attack without a norm.
  """
  checks.function(attack=attack)
  if not callable(one_step):
    checks.flag(one_step=one_step)
  if norm is not None:
    checks.text(norm=norm)
  if norm is None and "norm" not in settings_of(attack):
    raise ValueError(f"attack {name!r} needs an argument norm, or the norm that it counts in")
  registry.register(ATTACKS, name, attack, what="attack")
  if norm is not None:
    FIXED_NORMS[name] = norm
  if one_step:
    _ONE_STEP.append((attack, one_step if callable(one_step) else lambda **_: True))
  return attack


def takes_one_step(attack: Callable) -> bool:
  """Whether an attack has declared that it reads the network at the images themselves alone.

  Args:
    attack: as it is or with settings bound by `functools.partial`.

  >>> takes_one_step(get_attack({"name": "fgsm"})), takes_one_step(get_attack({"name": "pgd"}))
  (True, False)
  """
  function, bound = attack, {}
  if isinstance(attack, functools.partial):
    function, bound = attack.func, attack.keywords
  return any(known is function and one_step(**bound) for known, one_step in _ONE_STEP)


def get_attack(settings: Mapping[str, Any]) -> Callable:
  """The attack that a config describes, with its hyper-parameters bound.

  Args:
    settings: {"name": one of `ATTACKS`, and any of its keyword hyper-parameters}. What is left
      out (epsilon, say) can be given at the call.

  Returns:
    `(key, logits_fn, x, y, **rest) -> x_adv`.

  Raises:
    ValueError, TypeError: for an unknown name or setting, or settings that are not a mapping.

  >>> get_attack({"name": "pgd", "epsilon": 0.1, "steps": 3}).keywords
  {'epsilon': 0.1, 'steps': 3}
  """
  return bind(ATTACKS, settings, what="attack", later=("epsilon",))


def norm_of(settings: Mapping[str, Any]) -> str:
  """The norm in which the attack of a config counts its changes.

  Args:
    settings: {"name": one of `ATTACKS`, and any of its keyword hyper-parameters}.

  Raises:
    ValueError, TypeError: for an unknown name, or settings that are not a mapping.

  >>> norm_of({"name": "pgd", "norm": "l1"}), norm_of({"name": "deepfool"})
  ('l1', 'l2')
  """
  name = _name_of(settings)
  if name in FIXED_NORMS:
    return FIXED_NORMS[name]
  return settings.get("norm", settings_of(ATTACKS[name])["norm"].default)


def bind_attack(
  settings: Mapping[str, Any],
  *,
  bounds: Bounds,
  norm: str | None = None,
  epsilon: float | None = None,
  later: Collection[str] = (),
) -> Callable:
  """An attack of a config on a data set's images: whatever is the same for all need not be said.

  What the config says goes before what is given here, and an attack is given only what it has an
  argument for. A radius is that of a ball in its own norm: an attack in another norm is not given
  it, so it must bring its own or be one that looks for the nearest image without any.

  Args:
    settings: {"name": one of `ATTACKS`, and any of its keyword hyper-parameters}.
    bounds: (low, high) of the pixels.
    norm: the threat model's norm; None where there is none.
    epsilon: radius of its ball.
    later: hyper-parameters that the caller gives at each call. The attack must have them, and the
      config must not set them.

  Returns:
    `(key, logits_fn, x, y, **later) -> x_adv`.

  Raises:
    ValueError, TypeError: for an unknown name or setting, one that is missing, or one of `later`
      that the attack does not have or that is set already.

  >>> bind_attack({"name": "jsma"}, bounds=(-1, 1), norm="linf", epsilon=0.1).keywords
  {'bounds': (-1, 1)}
  """
  name = _name_of(settings)
  has = settings_of(ATTACKS[name])
  for setting in later:
    if setting not in has:
      able = ", ".join(one for one, attack in ATTACKS.items() if setting in settings_of(attack))
      raise ValueError(f"attack must be one with {setting}, {able}; got {name!r}")
    if setting in settings:
      raise ValueError(f"attack {name!r} must not set {setting}, which is given for all alike")
  if norm is not None and "norm" in has:
    settings = {"norm": norm, **settings}
  ball: dict[str, Any] = {"bounds": bounds}
  if epsilon is not None and norm in (None, norm_of(settings)):
    ball["epsilon"] = epsilon
  given = {field: value for field, value in ball.items() if field in has}
  asked = has["epsilon"].default if "epsilon" in has else None
  known = ("epsilon" in one for one in (given, settings, later))
  if epsilon is not None and asked is inspect.Parameter.empty and not any(known):
    raise ValueError(
      f"attack {name!r} needs the setting 'epsilon', which is missing: the radius is of a ball in "
      f"the norm {norm!r}, and its own norm is {checks.shown(norm_of(settings))}"
    )
  return bind(ATTACKS, {**given, **settings}, what="attack", later=later)


def _name_of(settings: Mapping[str, Any]) -> str:
  checks.mapping(**{"settings of attack": settings})
  if "name" not in settings:
    given = checks.shown(dict(settings))
    raise ValueError(f"attack needs a name, one of {checks.listed(ATTACKS)}; got {given}")
  checks.one_of(settings["name"], ATTACKS, argument="attack")
  return settings["name"]
