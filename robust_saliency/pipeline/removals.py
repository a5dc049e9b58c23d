"""ROAR and KAR of an experiment's networks, by any attributions.

An experiment of its own with the same networks, which it finds finished: so it resumes in the
retraining where it was cut off, and has a report.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robust_saliency import attributions, report
from robust_saliency.core import checks, files, folders
from robust_saliency.pipeline import named_methods, stage
from robust_saliency.pipeline import workdir as workdirs
from robust_saliency.pipeline.experiment import Experiment
from robust_saliency.pipeline.imports import Import
from robust_saliency.pipeline.imports import check as check_imports
from robust_saliency.pipeline.needs import deciding
from robust_saliency.pipeline.readers import first_of_each, read_networks
from robust_saliency.pipeline.seeds import seeds_of_each
from robust_saliency.results.result import Result
from robust_saliency.studies.roar import Roar
from robust_saliency.training import Recipe

STUDY = "ROAR and KAR"
FOLDER = "roar"
# What a retraining has of the recipe of a network; its objective is plain cross-entropy.
_KEPT = (
  *("architecture", "optimizer", "batch_size", "epochs", "steps", "shuffle", "augmentation"),
  *("log_every", "checkpoint_every"),
)


def remove_and_retrain_experiment(
  workdir: Path,
  methods: Sequence[str],
  *,
  models: Sequence[str] = (),
  retrain: str | None = None,
  steps: int | None = None,
  settings: Mapping[str, Any] | None = None,
  out: Path | None = None,
  data_dir: str | None = None,
  imports: Sequence[Import] = (),
  command: str = "",
) -> tuple[Path, Result]:
  """Trains networks anew on images without what the experiment's networks call important.

  The experiment itself is only read.

  Args:
    workdir: of a finished experiment.
    methods: attributions, as the command takes them: NAME or NAME:SETTING=VALUE:..., the settings
      of `studies.importance.Importance` ("absolute", "smoothing") among them.
    models: the experiment's networks that are explained, by the seeds that all of them have; none
      for all networks.
    retrain: the network whose recipe is trained anew, with cross-entropy for its objective; None
      for the first that is explained.
    steps: of each retraining; None for the recipe's.
    settings: further fields of `studies.roar.Roar`: "fractions", "protocols", "scored_examples"...
    out: where the files go; None for a folder of the experiment's.
    data_dir: where TFDS's prepared sets lie.
    imports: the files that have registered methods of the user's own.
    command: what the report says it was made by.

  Returns:
    The path of the report, and the study's result.

  Raises:
    ValueError, TypeError: for a method, a setting, a network or a number that there is not.
    FileNotFoundError: if the directory holds no finished experiment, or the data set is missing.
    WorkdirError: if a network is not finished, or `out` belongs to something else.
  """
  if not methods:
    raise ValueError(f"methods must name at least one of {', '.join(attributions.ATTRIBUTIONS)}")
  maps = {text: _parsed(text) for text in methods}
  _, networks = read_networks(workdir, data_dir=data_dir, imports=imports)
  config = workdirs.read_config(workdir)
  assert config is not None  # `read_networks` has read it
  explained = tuple(first_of_each(networks, models))
  if not explained:
    raise ValueError("no network is left to explain: the training of all of them has diverged")
  base = explained[0] if retrain is None else retrain
  checks.one_of(base, config["models"], argument="retrain")
  recipes = {name: Recipe.from_config(one) for name, one in config["models"].items()}
  seeds = seeds_of_each(recipes, config["seeds"])
  study = {
    "kind": Roar.kind,
    "models": explained,
    "maps": maps,
    "retraining": retraining_of(config["models"][base], steps),
    **_common_seeds([seeds[name] for name in explained]),
    **(settings or {}),
  }
  studies = config.get("studies", {})
  decisive = deciding(studies, recipes)
  own = {
    **config,
    "title": f"{config['title']}: remove and retrain",
    "summary": None,
    "studies": {
      **{name: one for name, one in studies.items() if name in decisive},
      STUDY: study,
    },
    "claims": [],
    "published": None,
  }
  out = out or workdir / FOLDER / _name(study)
  folders.refuse_unwritable(out)
  experiment = Experiment(own, out, data_dir=data_dir, imports=imports, rerun_changed=None)
  retrained = experiment.plan.studies[STUDY]
  with workdirs.in_use(out):
    check_imports(workdirs.read_imports(out), imports, out)
    workdirs.claim(out, experiment.plan.config, rerun_changed=None, imports=imports)
    for needed in experiment.plan.stages:
      if needed is not retrained:
        _take(workdir / needed.folder, out / needed.folder)
  page = experiment.run(command=command)
  (found,) = (one for one in report.read_findings(out).results if one.name == STUDY)
  return page, found


def _common_seeds(of_each: Sequence[Sequence[int]]) -> dict[str, list[int]]:
  """The field of the seeds that all networks have, where some have more."""
  common = [seed for seed in of_each[0] if all(seed in of_one for of_one in of_each)]
  some_have_more = any(len(of_one) > len(common) for of_one in of_each)
  return {"seeds": common} if common and some_have_more else {}


def retraining_of(recipe: Mapping[str, Any], steps: int | None = None) -> dict[str, Any]:
  """A network's recipe as that of its retrainings.

  >>> recipe = {"objective": {"adversarial": {}}, "teacher": "t", "epochs": 3, "batch_size": 8}
  >>> retraining_of(recipe, steps=20)
  {'batch_size': 8, 'steps': 20, 'objective': {'cross_entropy': {}}}
  """
  kept = {name: recipe[name] for name in _KEPT if recipe.get(name) is not None}
  if steps is not None:
    checks.count(steps=steps)
    kept = {name: value for name, value in kept.items() if name != "epochs"} | {"steps": steps}
  return {**kept, "objective": {"cross_entropy": {}}}


def show(result: Result) -> str:
  """The accuracies and the scores as people read them, in 80 columns."""
  known = result.layout.coordinates
  removed = [f"{100 * fraction:g} %" for fraction in known["fraction"]]
  lines = []
  for p, protocol in enumerate(known["protocol"]):
    removal = "most" if protocol == "ROAR" else "least"
    lines.append(f"{protocol}: accuracy without so many of the {removal} important pixels")
    rows = [
      (f"{map_name}, {model}", result.arrays["accuracy"][p, m, n], result.arrays["score"][p, m, n])
      for m, map_name in enumerate(known["map"])
      for n, model in enumerate(known["model"])
    ]
    random = result.at("control", protocol=protocol, control="random")
    rows.append(("random pixels", random, None))
    width = max(len(name) for name, *_ in rows)
    lines.append("  ".join([" " * width, *(f"{one:>6}" for one in removed), " score"]))
    for name, accuracies, score in rows:
      cells = [f"{one:6.3f}" for one in np.mean(accuracies, axis=0)]
      cells.append("" if score is None else f"{np.mean(score):6.3f}")
      lines.append("  ".join([name.ljust(width), *cells]).rstrip())
    lines.append("")
  lines.append("A score is the area between a map's curve and that of random pixels, > 0 where")
  lines.append("the map is better.")
  return "\n".join(lines)


def _parsed(text: str) -> dict[str, Any]:
  return named_methods.parse(text, attributions.ATTRIBUTIONS, what="method")


def _name(study: Mapping[str, Any]) -> str:
  # What an older version has measured stays beside it.
  text = files.json_text({**study, "version": Roar.version})
  names = "-".join(study["maps"])
  return f"{files.slug(names)[:50]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def _take(source: Path, target: Path) -> None:
  """Has a finished stage's files in another place, all or none, without their bytes a second time.

  A stage that has been passed over, since its networks have diverged, has none. What was taken
  before, and has been computed anew since, is taken again.
  """
  if not source.is_dir():
    return
  if target.exists() and not stage.is_outdated(source, stage.read_fingerprint(target)):
    return
  target.parent.mkdir(parents=True, exist_ok=True)
  begun = target.with_name(f".{target.name}.begun")
  folders.remove_tree(begun)
  shutil.copytree(source, begun, copy_function=_link)
  folders.remove_tree(target)
  begun.rename(target)


def _link(source: str, target: str) -> None:
  # Files are replaced and never changed, so that both names keep what they have.
  try:
    os.link(source, target)
  except OSError:
    shutil.copy2(source, target)
