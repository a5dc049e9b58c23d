"""Measures how robust an experiment's networks are, by any attacks, and says what looks wrong.

  python -m robust_saliency.evaluate --workdir=runs/digits --attacks=autoattack,pgd --epsilon=0.1

prints for each network the accuracy under each attack, what it cost, the worst case over all of
them, and the warnings of a careful evaluator; and writes

  MODEL.csv, MODEL.json   the table; with the warnings and all settings
  MODEL.npz               which example is robust to which attack, and the adversarial images
  batches/                finished batches: the same command resumes where it was cut off

each with its SHA-256 beside it. An attack's settings follow its name: pgd:steps=100:restarts=5.
"""

import robust_saliency.startup  # isort: skip  # noqa: F401
import ast
import dataclasses
import hashlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import flags

from robust_saliency import attacks, command_line
from robust_saliency.attacks.evaluation.autoattack import VERSIONS
from robust_saliency.attacks.evaluation.evaluate_attacks import COLUMNS, Evaluation
from robust_saliency.attacks.registry import bind_attack
from robust_saliency.core import Attack, checks, files
from robust_saliency.data import Dataset
from robust_saliency.pipeline import first_of_each, read_networks
from robust_saliency.pipeline.imports import Import
from robust_saliency.studies.batches import first_examples, key_for
from robust_saliency.training import TrainedNetwork

ENSEMBLES = {
  "autoattack" if version == "standard" else f"autoattack_{version}": version
  for version in VERSIONS
}
NUMBERS = ("steps", "targets", "queries")  # AutoAttack's settings
EXAMPLES = 1000

ATTACKS = flags.DEFINE_list(
  "attacks",
  ["autoattack"],
  f"attacks, each NAME or NAME:SETTING=VALUE:...; {', '.join((*ENSEMBLES, *attacks.ATTACKS))}",
)
EPSILON = flags.DEFINE_float("epsilon", None, "radius of the ball, in pixel units")
NORM = flags.DEFINE_string("norm", "linf", "linf, l2 or l1")
BATCH_SIZE = flags.DEFINE_integer("batch_size", 250, "the most examples per call, over all devices")


@dataclasses.dataclass(frozen=True)
class Threat:
  """What is measured: the ball, and on how many of the first test examples."""

  epsilon: float
  norm: str = "linf"
  examples: int = EXAMPLES


def evaluate_experiment(
  workdir: Path,
  names: Sequence[str],
  threat: Threat,
  *,
  models: Sequence[str] = (),
  batch_size: int = 250,
  out: Path | None = None,
  data_dir: str | None = None,
  imports: Sequence[Import] = (),
) -> dict[str, Evaluation]:
  """Evaluates the networks of the experiment's first seed, and writes the files.

  The experiment itself is only read.

  Args:
    workdir: of a finished experiment.
    names: attacks, as the command takes them.
    threat: the ball and the number of test examples; all where there are fewer.
    models: the experiment's names of networks; none for all.
    batch_size: the most examples per call, over all devices.
    out: where the files go; None for a folder of the experiment's, see `folder_name`.
    data_dir: where TFDS's prepared sets lie.
    imports: the files that have registered methods of the user's own.

  Returns:
    The networks' evaluations by name.

  Raises:
    ValueError, TypeError: for an attack, a setting, a network or a number that there is not, or a
      network that is not finished.
    FileNotFoundError: if the directory holds no experiment, or the data set is missing.
  """
  dataset, networks = read_networks(workdir, data_dir=data_dir, imports=imports)
  chosen = {name: _attack(name, dataset, threat) for name in names}
  trained = first_of_each(networks, models)
  checks.count(examples=threat.examples, batch_size=batch_size)
  test = first_examples(dataset.test, min(threat.examples, len(dataset.test)))
  out = out or workdir / "evaluations" / folder_name(names, threat, len(test))
  evaluations = {}
  for model, network in trained.items():

    def say(line: str, model: str = model) -> None:
      print(f"{model}: {line}", file=sys.stderr)

    evaluations[model] = attacks.evaluate_attacks(
      key_for(jax.random.key(0), "evaluate"),
      network.logits_fn,
      dataset.to_float(test.x),
      test.y,
      attacks=chosen,
      norm=threat.norm,
      epsilon=threat.epsilon,
      bounds=dataset.bounds,
      batch_size=batch_size,
      workdir=out / "batches" / files.slug(model),
      say=say,
    )
    _write(out / files.slug(model), model, evaluations[model], network, threat, dataset)
  return evaluations


def folder_name(names: Sequence[str], threat: Threat, examples: int) -> str:
  """The name of the folder that an evaluation is written to, another for each other evaluation.

  Args:
    names: the attacks with their settings, as the command takes them.
    threat: the ball.
    examples: how many test examples are attacked.

  >>> folder_name(["pgd:steps=7"], Threat(0.1), 40)
  'linf-0-1-on-40-pgd-steps-7-87020360'
  """
  text = f"{threat.norm}-{threat.epsilon!r}-on-{examples}-{','.join(names)}"
  # A slug is cut off, and cannot tell "targets=-1" from "targets=1".
  return f"{files.slug(text)}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def parse_attack(text: str) -> dict[str, Any]:
  """The settings of an attack as a config has them.

  Raises:
    ValueError: for an unknown name, or settings that cannot be read.

  >>> parse_attack("pgd:steps=100:loss=dlr")
  {'name': 'pgd', 'steps': 100, 'loss': 'dlr'}
  """
  name, *settings = text.split(":")
  checks.one_of(name, (*ENSEMBLES, *attacks.ATTACKS), argument="attacks")
  read: dict[str, Any] = {"name": name}
  for setting in settings:
    field, equals, value = setting.partition("=")
    if not equals:
      raise ValueError(
        f"attack {checks.shown(text)} must be NAME:SETTING=VALUE:..., got {checks.shown(setting)}"
      )
    if field in read:
      raise ValueError(f"attack {checks.shown(text)} must have {field} once, got {value} too")
    try:
      read[field] = ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
      read[field] = value
  return read


def show(model: str, evaluation: Evaluation) -> str:
  """The table and the warnings as people read them."""
  rows = [list(COLUMNS), *([_shown(value) for value in row] for row in evaluation.table)]
  widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
  lines = [
    "  ".join([row[0].ljust(widths[0]), *(map(str.rjust, row[1:], widths[1:]))]).rstrip()
    for row in rows
  ]
  warnings = [
    f"Warning ({name}): {sentence}"
    for name, sentences in evaluation.warnings.items()
    for sentence in sentences
  ]
  return "\n".join([model, *lines, *warnings])


def _attack(text: str, dataset: Dataset, threat: Threat) -> Attack | Mapping[str, Attack]:
  settings = parse_attack(text)
  ball: dict[str, Any] = {"norm": threat.norm, "epsilon": threat.epsilon, "bounds": dataset.bounds}
  version = ENSEMBLES.get(settings["name"])
  if version is None:
    return bind_attack(settings, **ball)
  numbers = {name: value for name, value in settings.items() if name != "name"}
  for name in numbers:
    checks.one_of(name, NUMBERS, argument=f"setting of {settings['name']}")
  return attacks.autoattack_members(len(dataset.classes), version=version, **ball, **numbers)


def _shown(value: Any) -> str:
  return f"{value:.4g}" if isinstance(value, float) else str(value)


def _write(
  stem: Path,
  model: str,
  evaluation: Evaluation,
  network: TrainedNetwork,
  threat: Threat,
  dataset: Dataset,
) -> None:
  table = evaluation.table
  about = {
    "model": model,
    "seed": network.seed,
    "dataset": dataset.name,
    **dataclasses.asdict(threat),
    "examples": len(evaluation.correct),
    "bounds": dataset.bounds,
    "table": [dict(zip(COLUMNS, row, strict=True)) for row in table],
    "warnings": evaluation.warnings,
  }
  files.write_with_digest(stem.with_suffix(".csv"), files.csv_text(COLUMNS, table).encode())
  files.write_with_digest(stem.with_suffix(".json"), files.json_text(about).encode())
  files.write_with_digest(stem.with_suffix(".npz"), files.npz(evaluation.arrays))


def main(argv: list[str]) -> None:
  """The command; its arguments come as flags."""
  del argv
  workdir, data_dir = command_line.WORKDIR.value, command_line.DATA_DIR.value
  if not workdir:
    command_line.stop("give --workdir=DIRECTORY of an experiment, e.g. runs/digits")
  if EPSILON.value is None:
    command_line.stop("give --epsilon=RADIUS of the ball, in pixel units, e.g. 0.1")
  command_line.use_all_cores()
  imports = command_line.imported()
  examples = command_line.EXAMPLES.value
  evaluations = evaluate_experiment(
    Path(workdir),
    ATTACKS.value,
    Threat(EPSILON.value, NORM.value, EXAMPLES if examples is None else examples),
    models=command_line.MODELS.value,
    batch_size=BATCH_SIZE.value,
    out=Path(command_line.OUT.value) if command_line.OUT.value else None,
    data_dir=data_dir,
    imports=imports,
  )
  print("\n\n".join(show(model, evaluation) for model, evaluation in evaluations.items()))


if __name__ == "__main__":
  command_line.run(main)
