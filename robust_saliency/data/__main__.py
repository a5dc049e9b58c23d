"""Lists the data sets, and prepares one.

  python -m robust_saliency.data                   which sets there are, and where
  python -m robust_saliency.data prepare mnist     downloads one and writes it, by TFDS

With `--data_dir`, both look there instead of in `TFDS_DATA_DIR`. notMNIST is not downloaded: it is
a file that `NOTMNIST` names.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from robust_saliency.core import checks
from robust_saliency.data.catalogue import CATALOGUE
from robust_saliency.data.own import OWN
from robust_saliency.data.tfds_sets import data_directory


def main(arguments: Sequence[str] | None = None) -> None:
  """Runs the command; ends with one sentence on stderr where it cannot."""
  options = _parse(arguments)
  try:
    if options.command == "prepare":
      _prepare(options.name, options.data_dir)
    else:
      _list(options.data_dir)
  except (ImportError, OSError, ValueError) as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)


class _Parser(argparse.ArgumentParser):
  """Says what is wrong as the other commands do."""

  def error(self, message: str) -> NoReturn:
    """See `argparse.ArgumentParser.error`."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(2)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
  shared = _Parser(add_help=False)
  shared.add_argument(
    "--data_dir",
    default=argparse.SUPPRESS,  # so that the flag may stand before the command or after it
    help="where TFDS keeps prepared sets (default: TFDS_DATA_DIR, then ~/tensorflow_datasets)",
  )
  parser = _Parser(
    prog="python -m robust_saliency data",
    description="Lists the data sets, and prepares one.",
    parents=[shared],
  )
  commands = parser.add_subparsers(dest="command", metavar="{list,prepare}")
  commands.add_parser("list", help="the sets and where they are (the default)", parents=[shared])
  prepares = commands.add_parser("prepare", help="download a set and write it", parents=[shared])
  prepares.add_argument("name", help="a set that is not prepared yet, such as mnist")
  options = parser.parse_args(arguments)
  options.data_dir = getattr(options, "data_dir", None)
  return options


def _list(data_dir: str | None) -> None:
  width = max(map(len, [*CATALOGUE, *OWN]))
  for name in CATALOGUE:
    print(f"{name:{width}}  {_state(name, data_dir)}")
  for name in OWN:
    print(f"{name:{width}}  your own, wherever dataset.path says")


def _state(name: str, data_dir: str | None) -> str:
  source = CATALOGUE[name]
  if source.find is None:
    return "comes with the package"
  try:
    path = source.find(data_dir)
  except FileNotFoundError as error:
    return f"not prepared in {data_directory(data_dir)}" if source.prepare else f"missing: {error}"
  return f"prepared in {path}" if source.prepare else f"in {path}"


def _prepare(name: str, data_dir: str | None) -> None:
  checks.one_of(name, CATALOGUE, argument="name")
  source = CATALOGUE[name]
  if source.prepare is not None:
    source.prepare(data_dir)
  elif source.find is not None:
    source.find(data_dir)  # says where to put the file, unless it is there
  print(f"{name}  {_state(name, data_dir)}")


if __name__ == "__main__":
  main()
