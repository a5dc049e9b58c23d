"""The terms of an objective by name, each with what it needs: ours, and those of one's own."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from jax import Array

from robust_saliency.core import checks, registry

# What an array that a term needs may be -> what a person has to provide.
KINDS = {
  "labels": "a teacher's probabilities [B, K]; name a teacher in the model's config",
  "map": "a map of each image [B, H, W, ...], which is augmented together with it",
  "class maps": "a map of each image for each class [B, H, W, C, K], augmented together with it",
}

# Which of the network's training passes a term reads. They run in this order, and a term that
# reads an earlier one runs before those that do not, however a config orders them: the statistics
# of the last pass are those that stay.
PASSES = ("clean", "attacked")

# What every objective reports, besides its terms.
RESERVED = ("loss", "accuracy", "adversarial_accuracy")


class Term(NamedTuple):
  """A term as it is declared.

  Attributes:
    function: `(passes, **settings) -> [B]`, or [] for a number of the whole batch.
    title: of its curve in the report.
    needs: name in `Batch.targets` -> kind of array, one of `KINDS`.
    passes: the training passes that it reads, of `PASSES`.
    version: raised by hand when its code changes its numbers.
  """

  function: Callable[..., Array]
  title: str
  needs: Mapping[str, str]
  passes: tuple[str, ...]
  version: int = 1

  @property
  def order(self) -> int:
    """Its place among the terms of an objective."""
    return [("clean",), ("clean", "attacked"), ("attacked",)].index(self.passes)


# Filled by the declarations.
TERMS: dict[str, Term] = {}

_Function = TypeVar("_Function", bound=Callable[..., Array])


def register(
  name: str,
  function: Callable[..., Array],
  *,
  title: str,
  needs: Mapping[str, str] | None = None,
  passes: Iterable[str] = ("clean",),
  version: int = 1,
) -> None:
  """Makes a function a term that configs can name and weigh.

  Args:
    name: in configs, and of its metric.
    function: `(passes, **settings) -> [B]`, see `TrainingPasses` for what it can read; its
      keyword-only arguments are the term's settings. One that is called `attack` takes an attack's
      settings in a config and is given the attack. Reduction over examples and devices and the
      padding of a short batch are done outside. What is not a mean over examples is summed by
      `passes.batch.total`, and may be returned as one number, [].
    title: of its curve in the report.
    needs: the per-example arrays that it takes from `passes.batch.targets`: name -> kind. "labels"
      are the probabilities of the model's teacher, which the model then must have; a "map" is of
      the images' height and width, and is augmented together with them; so are "class maps", one
      for each class.
    passes: which training passes it reads: "clean", "attacked", or both.
    version: raised when its code changes its numbers, so that what an experiment has trained with
      it before is trained again.

  Raises:
    ValueError, TypeError: for a name that is taken, a kind or pass that does not exist, a function
      that cannot be called, a title that is no text, or a version that is no whole number >= 1.

  >>> def size_of_logits(passes, *, power=2.0):
  ...   return abs(passes.clean().logits ** power).sum(axis=-1)
  >>> register("size_of_logits", size_of_logits, title="Size of the logits")
  >>> TERMS["size_of_logits"].title
  'Size of the logits'
  >>> del TERMS["size_of_logits"]
  """
  checks.text(**{"the name of a term": name})
  if name in TERMS or name in RESERVED:
    taken = ", ".join((*TERMS, *RESERVED))
    raise ValueError(f"name of a term must be a new one, none of {taken}; got {name!r}")
  checks.function(function=function)
  checks.text(title=title)
  checks.count(version=version)
  if needs is not None:
    checks.mapping(needs=needs)
  if isinstance(passes, (str, Mapping)) or not isinstance(passes, Iterable):
    raise TypeError(
      f"passes of term {name!r} must be a list of {checks.listed(PASSES)}; "
      f"got {checks.shown(passes)}"
    )
  needs, passes = dict(needs or {}), tuple(passes)
  for kind in needs.values():
    checks.one_of(kind, KINDS, argument=f"needs of term {name!r}")
  for one in passes:
    checks.one_of(one, PASSES, argument=f"passes of term {name!r}")
  in_order = tuple(one for one in PASSES if one in passes) or ("clean",)
  registry.register(TERMS, name, Term(function, title, needs, in_order, version), what="term")


def term(name: str, **declaration: Any) -> Callable[[_Function], _Function]:
  """`register` as a decorator: `@term("sparsity", title="Sparsity of the logits")`."""

  def declare(function: _Function) -> _Function:
    register(name, function, **declaration)
    return function

  return declare


def needed(names: Iterable[str], kind: str) -> dict[str, list[str]]:
  """The arrays of a kind that an objective's terms need.

  Args:
    names: of terms; those that do not exist need nothing.
    kind: one of `KINDS`.

  Returns:
    Name in `Batch.targets` -> the terms that need it.

  >>> needed(["cross_entropy", "distillation", "distilled_label_penalty"], "labels")
  {'soft_targets': ['distillation', 'distilled_label_penalty']}
  """
  found: dict[str, list[str]] = {}
  for name in names:
    for array, its_kind in TERMS[name].needs.items() if name in TERMS else ():
      if its_kind == kind:
        found.setdefault(array, []).append(name)
  return found
