"""Which config a working directory belongs to, and what a changed one would run again."""

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from absl import logging

from robust_saliency.core import files
from robust_saliency.studies.selection import KIND as SELECTION
from robust_saliency.studies.selection import compared, families_of

# How often something is written changes no number.
RECORD_FIELDS = ("log_every", "checkpoint_every")

CONFIG_NAME = "config.json"
LOCK_NAME = ".lock"
SECONDS_NAME = "seconds.json"


class WorkdirError(ValueError):
  """A working directory that this experiment cannot use."""


def model_identity(config: Mapping[str, Any], name: str) -> dict[str, Any]:
  """What a trained network follows from, its seed apart."""
  recipe = config["models"][name]
  teacher, source = recipe.get("teacher"), (recipe.get("probe") or {}).get("source")
  identity = {
    "dataset": config["dataset"],
    "recipe": {field: value for field, value in recipe.items() if field not in RECORD_FIELDS},
    "teacher": model_identity(config, teacher) if teacher in config["models"] else None,
  }
  if source is not None and source in config["models"]:
    # No parameter follows from it, but the rows of training do.
    identity["probe_source"] = model_identity(config, source)
  return identity


def study_identity(config: Mapping[str, Any], name: str) -> dict[str, Any]:
  """What a study's result follows from: its settings, and the networks in their order."""
  return {
    "study": config["studies"][name],
    "networks": [[model, _network_identity(config, model)] for model in networks_of(config, name)],
    "seeds": config["seeds"],
  }


def networks_of(config: Mapping[str, Any], name: str) -> list[str]:
  """The networks that a study is run on, in the order of its axes."""
  settings = config["studies"][name]
  if settings.get("kind") != SELECTION:
    return list(settings.get("models", config["models"]))
  others = compared(settings["reference"], settings["families"])
  return list(dict.fromkeys([settings["source"], *others]))


def _network_identity(config: Mapping[str, Any], name: str) -> dict[str, Any]:
  """What a network follows from: its recipe, or the study that chooses it."""
  if name in config["models"]:
    return model_identity(config, name)
  return {"chosen_by": study_identity(config, families_of(config["studies"])[name])}


def stages_to_rerun(known: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
  """The stages of the given config that the known one has not done, in words.

  Both are configs as JSON gives them.
  """
  models = []
  for name in given["models"]:
    is_known = name in known["models"] and _same(
      model_identity(known, name), model_identity(given, name)
    )
    missing = [seed for seed in given["seeds"] if not is_known or seed not in known["seeds"]]
    if missing:
      models.append(f"{name} (seed {', '.join(map(str, missing))})")
  studies = [
    name
    for name in given.get("studies", {})
    if name not in known.get("studies", {})
    or not _same(study_identity(known, name), study_identity(given, name))
  ]
  stages = []
  if models:
    stages.append(f"train {', '.join(models)}")
  if studies:
    stages.append(f"run the studies {', '.join(studies)}")
  return [*stages, "write the report"]


def claim(workdir: Path, config: Mapping[str, Any], *, rerun_changed: bool = False) -> None:
  """Makes the directory this config's, or finds that it is so already.

  Args:
    workdir: the directory; it is made.
    config: the experiment.
    rerun_changed: makes a directory of another config this one's; stages that have not changed
      recognise their results, the others replace them.

  Raises:
    WorkdirError: if it cannot be written to, is in use, or belongs to another config.
  """
  path, given = workdir / CONFIG_NAME, json.loads(files.json_text(config))
  try:
    workdir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=workdir):
      known = json.loads(path.read_text()) if path.exists() else None
  except (OSError, ValueError) as error:
    raise WorkdirError(f"workdir {workdir} cannot be used: {error}") from None
  if known is not None and _same(known, given):
    return
  if known is not None and not rerun_changed:
    different = _differences(known, given) or ["the order of its fields"]
    stages = stages_to_rerun(known, given)
    raise WorkdirError(
      f"workdir {workdir} belongs to another config, which differs in {'; '.join(different)}. "
      f"With --rerun_changed this one would {_enumerated(stages)}, and keep the rest; or choose "
      "another --workdir, or delete this one to start over."
    )
  files.write_bytes(path, files.json_text(config).encode())


@contextlib.contextmanager
def in_use(workdir: Path) -> Iterator[None]:
  """Keeps other runs out of the directory.

  Raises:
    WorkdirError: if another run is there, or the directory cannot be written to.
  """
  with contextlib.ExitStack() as stack:
    try:
      workdir.mkdir(parents=True, exist_ok=True)
      stack.enter_context(files.locked(workdir / LOCK_NAME))
    except BlockingIOError as error:
      raise WorkdirError(
        f"workdir {workdir} is in use: {error}. Wait for it, stop it, or choose another --workdir."
      ) from None
    except OSError as error:
      raise WorkdirError(f"workdir {workdir} cannot be used: {error}") from None
    yield


def add_seconds(workdir: Path, stage: str, seconds: float) -> None:
  """Adds to the time that a stage has taken so far; what a kill cut off does not count."""
  known = seconds_of_stages(workdir)
  known[stage] = known.get(stage, 0.0) + seconds
  files.write_bytes(workdir / SECONDS_NAME, files.json_text(known).encode())


def seconds_of_stages(workdir: Path) -> dict[str, float]:
  """Stage -> the seconds that it has taken over all runs; {} where nobody has counted."""
  path = workdir / SECONDS_NAME
  try:
    return json.loads(path.read_text()) if path.exists() else {}
  except ValueError:
    logging.warning("Counting seconds anew: %s is damaged", path)
    return {}


def _same(known: Any, given: Any) -> bool:
  # As text, since the order of models is that of a study's axes.
  return files.json_text(known) == files.json_text(given)


def _differences(known: Any, given: Any, path: str = "") -> list[str]:
  if isinstance(known, dict) and isinstance(given, dict):
    names = list(dict.fromkeys([*known, *given]))
    return [
      difference
      for name in names
      for difference in _differences(
        known.get(name, "nothing"), given.get(name, "nothing"), f"{path}.{name}" if path else name
      )
    ]
  return [] if known == given else [f"{path} ({known} there, {given} here)"]


def _enumerated(words: list[str]) -> str:
  return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
