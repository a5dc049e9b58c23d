"""Claims tables: a paper's sentences as rows, read from a file.

A row says where a number stands (an array of a study, and coordinates on its axes), what it is
compared with, how it is summed up, and a threshold; whatever else a paper claims is an array that a
study computes for every network. `for_each` writes a row once for several coordinates.

A table is a TOML file of rows `[[claim]]`. Its `networks` are those that a variant of the
experiment may do without, and the claims about them with it.
"""

import dataclasses
import itertools
import math
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal

from robust_saliency.core import checks
from robust_saliency.core.settings import Names, Positive, read

OURS = "ours"
VOTES = "votes"
LIMITS = ("at_least", "at_most", "within")
LOG_RATIO = "log ratio of medians"
PROBABILITY = "probability"
BENCHMARK = "a benchmark"
MOST_ROWS = 10_000  # that `for_each` writes of one


@dataclasses.dataclass(frozen=True)
class Claim:
  """One row of a claims table.

  Attributes:
    id: unique in the table ("C1").
    says: the claim, a sentence.
    where: where the paper says it ("figure 1").
    about: the data sets of which the paper says it, all of them where there is none; or "ours" for
      a goal of this experiment that no paper states.
    of: study and array, "FGSM.correct".
    at: coordinates on the array's axes, all but those of seeds and examples.
    minus: coordinates, where they differ from `at`, of what is subtracted.
    over: likewise, of what it is divided by.
    among: an array of the same axes: only where it holds does an example count.
    statistic: what is taken over seeds and examples; "probability" is a number that the study
      has computed exactly, how likely its result would be by chance.
    floor: what a smaller number counts as where logarithms are taken.
    at_least: the claim holds from here up.
    at_most: the claim holds from here down.
    within: the claim holds where the number is nearer to `to` than this.
    to: see `within`.
    paper: the paper's own number, as printed; where it is missing, that of the published table.
    since: the date on which the row was written, "2026-11-26".
    exploratory: whether its threshold was chosen when data had been seen.
    undecided_by_design: why this scale cannot decide it; its verdict is "undecided".
    needs: what no run can measure. Of a benchmark, `of` may name its file and array,
      "step_costs.seconds", which is measured where `benchmarks/results/step_costs.json` is there;
      of votes, the questionnaire and an array of its counts, "forced_choice.share", which is
      measured once the run's folder has them.
    for_each: name -> values; "{name}" in the other fields stands for each of them in turn. Names
      with commas between them have values that go together:
      {"source, epsilon": [["a", 0.1], ["b", 0.2]]}.
    on: data set, scale, or both with a comma between them -> fields that are different there
      (`for_each`, too); a limit takes the place of the row's own.
  """

  id: str
  says: str
  where: str = "this experiment"
  about: tuple[str, ...] = ()
  of: str | None = None
  at: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  minus: Mapping[str, Any] | None = None
  over: Mapping[str, Any] | None = None
  among: str | None = None
  statistic: Literal["share", "mean", "ratio", "log ratio of medians", "probability"] = "mean"
  floor: Positive | None = None
  at_least: float | None = None
  at_most: float | None = None
  within: Positive | None = None
  to: float = 0.0
  paper: str | None = None
  since: str | None = None
  exploratory: bool = False
  undecided_by_design: str | None = None
  needs: Literal["votes", "a benchmark"] | None = None
  for_each: Mapping[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)
  on: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

  def is_about(self, dataset: str) -> bool:
    """Whether the paper says this of the data set."""
    return not self.about or dataset in self.about

  @property
  def is_of_benchmark(self) -> bool:
    """Whether a benchmark measures it, and no study."""
    return self.needs == BENCHMARK

  @property
  def is_of_votes(self) -> bool:
    """Whether people's votes measure it, and no study."""
    return self.needs == VOTES

  @property
  def is_ours(self) -> bool:
    """Whether no paper says it."""
    return self.about == (OURS,)


@dataclasses.dataclass(frozen=True)
class Table:
  """A claims table as it is read from its file.

  Attributes:
    claim: its rows, see `Claim`.
    networks: those that the experiment may do without.
  """

  claim: tuple[Any, ...] = ()
  networks: Names | None = None


def read_table(
  text: str, *, dataset: str, networks: Collection[str], scale: str = ""
) -> list[Claim]:
  """The claims of a table's file that are about an experiment.

  A claim at a network of the table's `networks` that the experiment has not is left out; any other
  name that does not exist is left to `check_claim`, which refuses it.

  Args:
    text: TOML, with rows `[[claim]]` and perhaps `networks`.
    dataset: the data set.
    networks: those that the experiment trains or chooses, families among them.
    scale: the experiment's.

  Raises:
    ValueError, TypeError: for text that is no TOML, or as of `read_claims`.

  >>> text = '''
  ... networks = ["distilled"]
  ... [[claim]]
  ... id = "{model}"
  ... says = "{model} is accurate."
  ... of = "accuracy.correct"
  ... at = {model = "{model}"}
  ... at_least = 0.9
  ... for_each = {model = ["undefended", "distilled"]}
  ... '''
  >>> [claim.id for claim in read_table(text, dataset="mnist", networks=["undefended"])]
  ['undefended']
  """
  try:
    content = tomllib.loads(text)
  except (tomllib.TOMLDecodeError, RecursionError) as error:
    raise ValueError(f"claims must be TOML: {error}") from None
  table: Table = read(Table, content, "claims")
  missing = set(table.networks or ()) - set(networks)
  claims = read_claims(table.claim, dataset=dataset, scale=scale)
  return [claim for claim in claims if missing.isdisjoint(_coordinates(claim))]


def read_claims(rows: Sequence[Mapping[str, Any]], *, dataset: str, scale: str = "") -> list[Claim]:
  """The claims of a table, for one data set.

  Args:
    rows: as TOML gives them, the fields of `Claim`.
    dataset: whose `on` takes effect.
    scale: likewise.

  Raises:
    ValueError, TypeError: for a field or a value that is not allowed, or two rows of one id.

  >>> [claim.id for claim in read_claims([{
  ...   "id": "C1 {source}", "says": "It transfers from {source}.", "of": "FGSM.correct",
  ...   "at": {"source": "{source}"}, "at_least": 0.2, "for_each": {"source": ["a", "b"]}}],
  ...   dataset="mnist")]
  ['C1 a', 'C1 b']
  """
  claims: dict[str, Claim] = {}
  for i, row in enumerate(rows):
    where = f"claim {row['id']!r}" if isinstance(row, Mapping) and "id" in row else f"claims[{i}]"
    variants = _variants(row, where)
    adapted = dict(row)
    for variant, different in variants.on.items():
      if not {word.strip() for word in variant.split(",")} <= {dataset, scale}:
        continue
      if any(limit in different for limit in LIMITS):
        adapted = {name: value for name, value in adapted.items() if name not in LIMITS}
      adapted |= different
    with checks.naming(where):
      filled_rows = list(_each(adapted, _variants(adapted, where).for_each))
    for filled in filled_rows:
      claim: Claim = read(Claim, filled, where)
      _check_row(claim, where)
      if claim.id in claims:
        raise ValueError(f"claims must have an id each, got two of {claim.id!r}")
      claims[claim.id] = claim
  return list(claims.values())


@dataclasses.dataclass(frozen=True)
class _Variants:
  """The fields of a row that say how others are filled in."""

  for_each: Mapping[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)
  on: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)


def _variants(row: Any, where: str) -> _Variants:
  if not isinstance(row, Mapping):
    raise TypeError(f"{where} must be fields with values, got {row!r}")
  fields = {name: row[name] for name in ("for_each", "on") if name in row}
  variants: _Variants = read(_Variants, fields, where)
  for name, values in variants.for_each.items():
    if not values:
      raise ValueError(f"{where}.for_each.{name} must have at least one value, got none")
  return variants


def _check_row(claim: Claim, where: str) -> None:
  if (claim.of is None) == (claim.needs is None) and not (claim.of and claim.needs):
    raise ValueError(f"{where} needs either the field 'of' or the field 'needs'")
  limits = [name for name in LIMITS if getattr(claim, name) is not None]
  if len(limits) != (claim.of is not None):
    given = " and ".join(limits) or "none"
    raise ValueError(f"{where} needs one of at_least, at_most and within, got {given}")
  if claim.minus is not None and claim.over is not None:
    raise ValueError(f"{where} must have minus or over, got both")
  if (claim.statistic in ("ratio", LOG_RATIO)) != (claim.over is not None):
    raise ValueError(
      f"{where} must have over where its statistic is a ratio, and nowhere else; "
      f"got statistic {claim.statistic!r}"
    )
  if claim.among is not None and (claim.statistic != "share" or claim.over is not None):
    raise ValueError(f"{where} must have among for a share alone, got {claim.statistic!r}")
  if claim.statistic == PROBABILITY and (claim.at_most is None or claim.minus):
    raise ValueError(f"{where} must have at_most, and nothing to compare with, for a probability")
  if claim.of is not None and len(claim.of.split(".")) != 2:
    raise ValueError(f"{where}: of must be STUDY.ARRAY, got {claim.of!r}")


def _coordinates(claim: Claim) -> set[str]:
  places = (claim.at, claim.minus or {}, claim.over or {})
  return {one for place in places for one in place.values() if isinstance(one, str)}


def _each(
  row: Mapping[str, Any], for_each: Mapping[str, tuple[Any, ...]]
) -> Iterator[Mapping[str, Any]]:
  rest = {name: value for name, value in row.items() if name != "for_each"}
  columns = [_together(names, values) for names, values in for_each.items()]
  if (many := math.prod(map(len, columns))) > MOST_ROWS:
    raise ValueError(f"for_each must write at most {MOST_ROWS} rows, got {checks.shown(many)}")
  for choice in itertools.product(*columns):
    yield _filled(rest, {name: value for of_column in choice for name, value in of_column.items()})


def _together(names: str, values: tuple[Any, ...]) -> list[dict[str, Any]]:
  """The values of one entry of `for_each`, one mapping each."""
  columns = [name.strip() for name in names.split(",")]
  if len(columns) == 1:
    return [{names: value} for value in values]
  for value in values:
    if not isinstance(value, (list, tuple)) or len(value) != len(columns):
      raise ValueError(f"for_each.{names} must hold lists of {len(columns)} values, got {value!r}")
  return [dict(zip(columns, value, strict=True)) for value in values]


def _filled(value: Any, names: Mapping[str, Any]) -> Any:
  """A part of a row with its "{name}" replaced; one that is nothing else keeps its type."""
  if isinstance(value, Mapping):
    return {key: _filled(one, names) for key, one in value.items()}
  if isinstance(value, (list, tuple)):
    return [_filled(one, names) for one in value]
  if isinstance(value, str):
    for name, one in names.items():
      if value == f"{{{name}}}":
        return one
    # All at once: what is filled in is text, and no name in it is filled in again.
    return re.sub(r"\{([^{}]*)\}", lambda found: str(names.get(found[1], found[0])), value)
  return value
