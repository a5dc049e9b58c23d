"""An experiment in a notebook: run in the notebook's own process, and looked at inline.

The process is the notebook's own because an accelerator belongs to one: beside it, a command that
is started by `!robust-saliency main` finds a TPU taken, or most of a GPU's memory.

  run      what the command `main` does; returns a `Run`
  Run      its claims as a table, its report's figures, its networks
  folder   where a notebook keeps what it makes
  load     a file with methods of one's own
"""

import dataclasses
import html
import io
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from ml_collections import ConfigDict
from PIL import Image

from robust_saliency import configs
from robust_saliency.command_line import as_typed, load_config
from robust_saliency.command_line.config_files import admit
from robust_saliency.command_line.shipped import find_config
from robust_saliency.core import checks, files
from robust_saliency.data import Dataset
from robust_saliency.data.catalogue import CATALOGUE
from robust_saliency.drawing.canvas import PNG_DOTS_PER_INCH, indexed
from robust_saliency.drawing.formatting import number
from robust_saliency.pipeline import Experiment, imports, read_networks
from robust_saliency.pipeline.imports import Import
from robust_saliency.report.claims import threshold
from robust_saliency.results import verdicts
from robust_saliency.training import TrainedNetwork

# Where Colab mounts Google Drive.
DRIVE = Path("/content/drive/MyDrive")

_MARKS = {
  verdicts.SUPPORTED: "✓",
  verdicts.HOLDS: "✓",
  verdicts.REFUTED: "✗",
  verdicts.FAILS: "✗",
}
_COLUMNS = ("Claim", "What is claimed", "Measured", "Interval", "Threshold", "Paper", "Verdict")
_DOTS_ON_SCREEN = 96  # an inch, in CSS
_LEFT = ' style="text-align: left"'


def folder(name: str) -> Path:
  """Where a notebook keeps checkpoints and results: on Google Drive where Colab has mounted it.

  A machine that Colab takes away leaves what lies on Drive; anywhere else it is the folder `runs`.

  Args:
    name: what is kept there, such as a config's name with its words.

  Returns:
    The path; nothing is made.

  >>> folder("ross2018:smoke,main").as_posix()
  'runs/ross2018-smoke-main'
  """
  kept = DRIVE / "robust_saliency" if DRIVE.is_dir() else Path("runs")
  return kept / files.slug(name)


def run(
  config: str | ConfigDict,
  workdir: str | Path,
  *,
  fields: Mapping[str, Any] = MappingProxyType({}),
  methods: Sequence[str | Path] = (),
  data_dir: str | None = None,
  prepare: bool = False,
) -> "Run":
  """Runs an experiment, or what is missing of it, in this process.

  Args:
    config: what `--config` takes, such as "ross2018:smoke", or the config itself, whose tables then
      lie in `workdir`.
    workdir: where its checkpoints, results and report go. Given again, it resumes there.
    fields: field -> value, such as {"models.pgd.epochs": 5}: what the flag --config.FIELD sets.
    methods: the files whose methods the config names, see `load`.
    data_dir: where TFDS's prepared sets lie; None for TFDS_DATA_DIR or TFDS's default.
    prepare: downloads the data set by TFDS where it is not there yet, as `robust-saliency data
      prepare NAME` does; that needs TensorFlow, which Colab has.

  Returns:
    The finished run.

  Raises:
    SystemExit: for a config or a field that there is not, after a sentence on stderr.
    ValueError, TypeError: for anything in the config that is not allowed.
    FileNotFoundError: if the data set or a table is not there.
    WorkdirError: if the directory belongs to another experiment, or another run is using it.
  """
  tables, command = None, "robust_saliency.notebook.run"
  if isinstance(config, str):
    found = find_config(config.partition(":")[0])
    tables = found.parent if found else None
    given = [f"--config.{field}={value}" for field, value in fields.items()]
    given += [f"--import={path}" for path in methods]
    given += [] if data_dir is None else [f"--data_dir={data_dir}"]
    command = as_typed("robust_saliency.main", f"--config={config}", f"--workdir={workdir}", *given)
    config = load_config(config)
  config = configs.ordered(config)  # the caller's own may be run again
  for field in fields:
    admit(config, field)
  config.lock()
  config.update_from_flattened_dict(dict(fields))
  if prepare:
    _prepare(config.dataset.name, data_dir)
  imported = [_load(path) for path in methods]
  experiment = Experiment(config, Path(workdir), folder=tables, data_dir=data_dir, imports=imported)
  return Run(experiment.run(command=command).parent, tuple(imported))


def load(path: str | Path) -> ModuleType:
  """Executes a file that registers methods of one's own, and returns it as a module.

  A file that was loaded before, and has changed since, takes its earlier state's place: a cell that
  writes it may be edited and executed again.

  Args:
    path: a Python file, see docs/your_own_methods.md.

  Raises:
    FileNotFoundError: for a file that is not there.
    ValueError: for one that fails, with its reason.
  """
  return sys.modules[imports.module_name(_load(path).digest)]


# Path -> what was loaded from it last.
_LOADED: dict[Path, Import] = {}


def _load(path: str | Path) -> Import:
  place = Path(path).resolve()
  before = _LOADED.get(place)
  if before is not None and place.is_file() and files.digest(place.read_bytes()) != before.digest:
    imports.unload(_LOADED.pop(place))
  [_LOADED[place]] = imports.load([str(path)])
  return _LOADED[place]


@dataclasses.dataclass(frozen=True)
class Run:
  """A finished run.

  Attributes:
    workdir: its directory, in which `report.html` is the whole report.
    imports: the files of methods that it was made with.
  """

  workdir: Path
  imports: tuple[Import, ...] = ()

  def claims(self, *beginnings: str) -> "Shown":
    """What was claimed, measured and found, as a table.

    Args:
      *beginnings: of the claims' names, which choose among them; none for all claims.

    Raises:
      ValueError: if no claim's name begins so.
    """
    every = json.loads((self.workdir / "data" / "claims.json").read_text(encoding="utf-8"))
    chosen = [one for one in every if not beginnings or one["id"].startswith(beginnings)]
    if beginnings and not chosen:
      names = ", ".join(one["id"] for one in every) or "none"
      raise ValueError(f"beginnings must be of a claim's name, one of {names}; got {beginnings}")
    rows = [_claim_row(one) for one in chosen]
    return Shown(text=_as_text(rows), html=_as_html(rows))

  def figures(self) -> list[str]:
    """The names of the report's figures, in alphabetical order."""
    # Those of a study that the config no longer has may lie in the folder still.
    page = (self.workdir / "report.html").read_text(encoding="utf-8")
    return sorted(set(re.findall(r'href="figures/([^"/]+)\.png"', page)))

  def figure(self, beginning: str) -> "Shown":
    """The first of the report's figures whose name begins so.

    Args:
      beginning: of one of `figures()`, such as the name of a study.

    Raises:
      ValueError: if there is none.
    """
    names = [name for name in self.figures() if name.startswith(beginning)]
    if not names:
      checks.one_of(beginning, self.figures(), argument="beginning")
    picture = (self.workdir / "figures" / f"{names[0]}.png").read_bytes()
    return Shown(text=f"<figure {names[0]}>", png=indexed(picture))

  def networks(
    self, *, data_dir: str | None = None
  ) -> tuple[Dataset, dict[str, list[TrainedNetwork]]]:
    """The data set, and model -> its trained networks, one per seed.

    Args:
      data_dir: as in `run`.
    """
    return read_networks(self.workdir, data_dir=data_dir, imports=self.imports)


@dataclasses.dataclass(frozen=True)
class Shown:
  """What a notebook shows where a cell ends with it.

  Attributes:
    text: for where neither HTML nor a picture is shown.
    html: "" for none.
    png: a picture's bytes, b"" for none.

  >>> Shown("two words")
  two words
  """

  text: str
  html: str = ""
  png: bytes = b""

  def __repr__(self) -> str:
    return self.text

  def _repr_html_(self) -> str | None:
    return self.html or None

  def _repr_png_(self) -> tuple[bytes, dict[str, int]] | None:
    if not self.png:
      return None
    with Image.open(io.BytesIO(self.png)) as picture:
      return self.png, {"width": round(picture.width * _DOTS_ON_SCREEN / PNG_DOTS_PER_INCH)}


def _prepare(name: str, data_dir: str | None) -> None:
  source = CATALOGUE.get(name)
  if source is None or source.find is None or source.prepare is None:
    return
  try:
    source.find(data_dir)
  except FileNotFoundError:
    source.prepare(data_dir)


def _claim_row(claim: Mapping[str, Any]) -> tuple[str, ...]:
  value, low, high = (claim[name] for name in ("value", "low", "high"))
  measured, bounded = value is not None, low is not None and high is not None
  verdict = claim["verdict"]
  return (
    claim["id"],
    claim["says"],
    number(value) if measured else "",
    f"{number(low)} to {number(high)}" if bounded else "no interval" if measured else "",
    # Reports of earlier versions do not say near to what.
    threshold(claim["relation"], claim["threshold"], claim.get("to")),
    claim["paper"] or "",
    f"{_MARKS.get(verdict, '·')} {verdict}",
  )


def _as_text(rows: Sequence[tuple[str, ...]]) -> str:
  lines = [f"{row[-1]}: {row[0]}. {row[1]} Measured: {row[2] or 'nothing'}" for row in rows]
  return "\n".join(lines) or "no claims"


def _as_html(rows: Sequence[tuple[str, ...]]) -> str:
  """A table that takes its colours from where it is shown, dark or light."""
  # A column in which nothing stands says nothing.
  kept = [i for i, _ in enumerate(_COLUMNS) if i < 2 or any(row[i] for row in rows)]

  def line(cells: Sequence[str], tag: str) -> str:
    inner = "".join(
      f"<{tag}{_LEFT if i < 2 else ''}>{_unbroken(html.escape(cells[i]))}</{tag}>" for i in kept
    )
    return f"<tr>{inner}</tr>"

  body = "\n".join(line(row, "td") for row in rows)
  return f"<table>\n<thead>{line(_COLUMNS, 'th')}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _unbroken(text: str) -> str:
  """The text with a sign that it begins with kept on the line of what follows."""
  return re.sub(r"^([≥≤±✓✗·]) ", "\\1\u00a0", text)
