"""How robust an experiment's networks are, by any attacks.

For each network there are

  MODEL.csv, MODEL.json   the table; with the warnings and all settings
  MODEL.npz               which example is robust to which attack, and the adversarial images
  robustness_table/MODEL.json   on demand: the row of a public table of robustness
  batches/                finished batches of each network: the same evaluation resumes in them

each with its SHA-256 beside it.
"""

import dataclasses
import hashlib
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from robust_saliency import attacks
from robust_saliency.attacks.evaluation.autoattack import ENSEMBLES
from robust_saliency.attacks.evaluation.evaluate_attacks import COLUMNS, Evaluation
from robust_saliency.attacks.evaluation.robustness_table import robustness_row
from robust_saliency.attacks.registry import bind_attack
from robust_saliency.core import Attack, checks, files
from robust_saliency.core.folders import refuse_linked_folders
from robust_saliency.data import Dataset
from robust_saliency.pipeline import named_methods
from robust_saliency.pipeline.imports import Import
from robust_saliency.pipeline.readers import first_of_each, read_networks
from robust_saliency.pipeline.stages import origin_of_network
from robust_saliency.studies.batches import first_examples, key_for

NUMBERS = ("steps", "targets", "queries")  # AutoAttack's settings
EXAMPLES = 1000
FOLDER, TABLE = "evaluations", "robustness_table"


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
  robustness_table: bool = False,
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
    robustness_table: whether each network's `robustness_row` is written, too.

  Returns:
    The networks' evaluations by name.

  Raises:
    ValueError, TypeError: for an attack, a setting, a network or a number that there is not, or a
      network that is not finished.
    FileNotFoundError: if the directory holds no experiment, or the data set is missing.
    DamagedFileError: for a link to a folder in `out`; nothing is attacked then.
  """
  for name in names:
    _settings(name, threat)  # what is misspelt is said before networks are read
  dataset, networks = read_networks(workdir, data_dir=data_dir, imports=imports)
  chosen = {name: _attack(name, dataset, threat) for name in names}
  trained = first_of_each(networks, models)
  checks.count(examples=threat.examples, batch_size=batch_size)
  test = first_examples(dataset.test, min(threat.examples, len(dataset.test)))
  out = out or workdir / FOLDER / folder_name(names, threat, len(test))
  refuse_linked_folders(out)
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
      workdir=out / "batches" / f"{files.slug(model)}-{network.digest[:8]}",
      say=say,
    )
    origin = origin_of_network(workdir, model, network.seed)
    _write(out / files.slug(model), origin, evaluations[model], threat, dataset)
    if robustness_table:
      row = robustness_row(
        evaluations[model],
        dataset=dataset.name,
        architecture=getattr(network.module, "title", type(network.module).__name__),
        norm=threat.norm,
        epsilon=threat.epsilon,
      )
      path = out / TABLE / f"{files.slug(model)}.json"
      files.write_with_digest(path, files.json_text(row).encode())
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


# Heading -> the columns of the table that stand below it.
_SHOWN = {
  "accuracy": ("accuracy",),
  "broken": ("broken", "tried"),
  "outside": ("outside",),
  "seconds": ("seconds",),
  "compiling": ("compile seconds",),
  "forward": ("forward passes per example",),
  "backward": ("backward passes per example",),
}
_WIDTH = 80


def show(model: str, evaluation: Evaluation) -> str:
  """The table and the warnings as people read them, in 80 columns.

  A name that is too long for them has a line of its own.
  """
  rows = [["attack", *_SHOWN]]
  for values in evaluation.table:
    row = dict(zip(COLUMNS, map(_shown, values), strict=True))
    rows.append(
      [row["attack"], *("/".join(filter(None, map(row.get, of))) for of in _SHOWN.values())]
    )
  widths = [max(len(row[i]) for row in rows) for i in range(1, len(rows[0]))]
  left = _WIDTH - sum(widths) - 2 * len(widths)
  name_width = min(left, max(len(row[0]) for row in rows))
  lines = []
  for name, *cells in rows:
    if len(name) > name_width:
      lines.append(name)
      name = ""
    lines.append("  ".join([name.ljust(name_width), *map(str.rjust, cells, widths)]).rstrip())
  warnings = [
    textwrap.fill(f"Warning ({name}): {sentence}", _WIDTH, subsequent_indent="  ")
    for name, sentences in evaluation.warnings.items()
    for sentence in sentences
  ]
  return "\n".join([model, *lines, *warnings])


def _attack(text: str, dataset: Dataset, threat: Threat) -> Attack | Mapping[str, Attack]:
  settings = _settings(text, threat)
  ball: dict[str, Any] = {"norm": threat.norm, "epsilon": threat.epsilon, "bounds": dataset.bounds}
  version = ENSEMBLES.get(settings["name"])
  if version is None:
    return bind_attack(settings, **ball)
  numbers = {name: value for name, value in settings.items() if name != "name"}
  return attacks.autoattack_members(len(dataset.classes), version=version, **ball, **numbers)


def _settings(text: str, threat: Threat) -> dict[str, Any]:
  """An attack's settings, of which it has all; the data set need not be known for that."""
  settings = named_methods.parse(text, (*ENSEMBLES, *attacks.ATTACKS), what="attack")
  if settings["name"] not in ENSEMBLES:
    bind_attack(settings, norm=threat.norm, epsilon=threat.epsilon, bounds=(0.0, 1.0))
    return settings
  for name in [*settings][1:]:
    checks.one_of(name, NUMBERS, argument=f"setting of {settings['name']}")
  return settings


def _shown(value: Any) -> str:
  if not isinstance(value, float):
    return str(value)
  return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _write(
  stem: Path,
  origin: Mapping[str, Any],
  evaluation: Evaluation,
  threat: Threat,
  dataset: Dataset,
) -> None:
  table = evaluation.table
  about = {
    **origin,
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
