"""From a command line to flags, in such a way that every mistake ends in one sentence."""

import re
import sys
from collections.abc import Sequence

from absl import flags
from ml_collections import ConfigDict

from robust_saliency.command_line.config_files import admit, load_config
from robust_saliency.command_line.stopping import stop

_CONFIG = "--config"


def parse_flags(argv: Sequence[str]) -> list[str]:
  """Parses the command line; whatever is wrong with it ends in one sentence.

  A config file that is missing, fails or refuses its words, and an unknown field, would otherwise
  give a traceback, or an object that fails much later.

  Args:
    argv: the program's name and its arguments.

  Returns:
    The program's name and the arguments that are no flags.
  """
  argv = [argv[0], *_in_one_spelling(argv[1:])]
  given = [argument.split("=", 1)[1] for argument in argv if argument.startswith(f"{_CONFIG}=")]
  if len(given) > 1:
    stop(f"--config may be given once, got {' and '.join(given)}")
  if given and "config" in flags.FLAGS:
    config = load_config(given[0])
    for argument in argv[1:]:
      if field := re.match(r"--(?:no)?config\.([^=]*)", argument):
        admit(config, field[1])
    # With the fields that flags set; ml-collections' own parser would execute the file again.
    flags.FLAGS["config"].parser = _Loaded(config.lock())
  # ml-collections looks for the fields there.
  sys.argv[1:] = argv[1:]
  try:
    return flags.FLAGS(list(argv))
  except flags.Error as error:
    stop(str(error).strip().splitlines()[0])


class _Loaded(flags.ArgumentParser):
  """The parser of --config: gives a config that has been loaded."""

  def __init__(self, config: ConfigDict):
    self._config = config

  def parse(self, argument: str) -> ConfigDict:
    """See `flags.ArgumentParser.parse`."""
    del argument
    return self._config


def _in_one_spelling(arguments: Sequence[str]) -> list[str]:
  """The arguments with --config=FILE for each of the ways in which it may be written.

  >>> _in_one_spelling(["-config", "a.py", "-config.seeds=(1,)", "--", "-config=b.py"])
  ['--config=a.py', '--config.seeds=(1,)', '--', '-config=b.py']
  """
  result: list[str] = []
  rest = list(arguments)
  while rest:
    argument = rest.pop(0)
    if argument == "--":
      return [*result, argument, *rest]
    if argument == _CONFIG[1:] or argument.startswith((f"{_CONFIG[1:]}=", f"{_CONFIG[1:]}.")):
      argument = f"-{argument}"
    if argument == _CONFIG and rest:
      argument = f"{_CONFIG}={rest.pop(0)}"
    result.append(argument)
  return result
