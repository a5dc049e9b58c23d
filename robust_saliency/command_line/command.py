"""What a command is, how it is run, and what its --help says."""

import dataclasses
import shlex
import sys
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence

from absl import app, flags, logging

from robust_saliency.command_line.compilation_cache import use_compilation_cache
from robust_saliency.command_line.garbage import collecting_rarely
from robust_saliency.command_line.parsing import parse_flags
from robust_saliency.command_line.shared_flags import shared
from robust_saliency.command_line.stopping import advice, one_line, stop

WIDTH = 80
_HELP = ("-h", "-help", "--help", "-helpshort", "--helpshort")


@dataclasses.dataclass(frozen=True)
class Command:
  """A command with flags.

  Attributes:
    main: its work, given the arguments that are no flags, the program's name first.
    about: its module's docstring.
    flags: all flags that it looks at, as --help lists them.
    names: what --help lists last, title -> names, from registries that take a moment to import.
    missing: says which flags must be given that are not, if any.
    at_once: does what needs no JAX, and says whether that was all.
    wrong: says what is wrong with the arguments that are no flags, if anything; flags may follow
      them. None for a command that takes none.
    defaults: a shared flag's name -> what it is here where it is not given.
  """

  main: Callable[[list[str]], None]
  about: str
  flags: Sequence[flags.FlagHolder]
  names: Callable[[], Mapping[str, Collection[str]]] = dict
  missing: Callable[[], str | None] = lambda: None
  at_once: Callable[[], bool] = lambda: False
  wrong: Callable[[Sequence[str]], str | None] | None = None
  defaults: Mapping[str, str] = dataclasses.field(default_factory=dict)


def run(command: Command) -> None:
  """Runs a command: `app.run`, with the errors that we raise for people as sentences."""

  def guarded(argv: list[str]) -> None:
    # Orbax logs some twenty lines for each checkpoint.
    logging.set_verbosity(logging.WARNING)
    if command.wrong is None and len(argv) > 1:
      fields = "; fields of the config are set by --config.FIELD=VALUE"
      has_fields = any(one.name == "config" for one in command.flags)
      stop(f"unknown argument {argv[1]!r}{fields if has_fields else ''}")
    if sentence := command.missing():
      stop(sentence)
    if command.wrong is not None and (sentence := command.wrong(argv[1:])):
      stop(sentence)
    if command.at_once():
      return
    # From here on JAX is needed; what came before has waited for no import.
    with collecting_rarely():
      from robust_saliency.training import interruption

    try:
      with interruption.stopping_on_signals():
        command.main(argv)
    except interruption.StoppedError as stopped:
      print(f"{stopped}. Start the same command again to resume.", file=sys.stderr)
      sys.exit(interruption.EXIT_CODE)
    except (ValueError, TypeError, FloatingPointError, OSError, RuntimeError) as error:
      if shared("debug").value:
        raise
      stop(one_line(error) + advice(error))

  def parse(argv: Sequence[str]) -> list[str]:
    before_dashes = [*argv[1:], "--"][: [*argv[1:], "--"].index("--")]
    if set(_HELP) & {*before_dashes}:
      print_help(command)
      sys.exit(0)
    # Flags of a config's fields import JAX, which reads its variables then.
    use_compilation_cache()
    flags.FLAGS.set_gnu_getopt(command.wrong is not None)
    return parse_flags(argv)

  app.run(guarded, flags_parser=parse)


def as_typed(*words: str) -> str:
  """The command line that a report names, as it can be given to a shell again.

  Args:
    *words: what follows `python -m`.

  >>> as_typed("robust_saliency.main", "--config=digits", "--config.seeds=(0, 1)")
  "python -m robust_saliency.main --config=digits '--config.seeds=(0, 1)'"
  """
  # A name of a file may be no text, and could not be written to a page.
  return shlex.join(["python", "-m", *words]).encode(errors="backslashreplace").decode()


def say_how_to_show(workdir: str) -> None:
  """Says how what a command has left in a run's directory gets into its report."""
  print(
    f"in report.html after: python -m robust_saliency redraw --workdir={workdir}", file=sys.stderr
  )


def print_help(command: Command) -> None:
  """Prints what a command does, its flags, and the names that they may be given."""
  print(
    "\n\n".join([*_paragraphs(command.about), _listed(command.flags, command.defaults)]), flush=True
  )
  for title, names in command.names().items():
    words = _wrapped(f"{title}: {', '.join(names)}")
    print(f"\n{words}")


def _paragraphs(text: str) -> list[str]:
  """Paragraphs of a docstring that fit the width; indented ones are kept as they are."""
  found = textwrap.dedent(text).strip().split("\n\n")
  return [one if one.startswith(" ") else _wrapped(one) for one in found]


def _wrapped(text: str, indent: str = "") -> str:
  return textwrap.fill(
    " ".join(text.split()),
    WIDTH,
    initial_indent=indent,
    subsequent_indent=indent,
    break_on_hyphens=False,
    break_long_words=False,
  )


def _listed(holders: Sequence[flags.FlagHolder], defaults: Mapping[str, str]) -> str:
  lines = ["Flags:"]
  for holder in holders:
    flag = flags.FLAGS[holder.name]
    value = "" if flag.boolean else f"={_METAVARS.get(flag.name, 'VALUE')}"
    lines.append(f"  --{'[no]' if flag.boolean else ''}{flag.name}{value}")
    known = flag.default is None or flag.default == [] or flag.boolean
    default = "" if known else (flag.default_as_str or "").strip("'")
    default = defaults.get(flag.name, default)
    about = f"{flag.help}; default: {default}" if default else flag.help
    lines.append(_wrapped(about, indent=" " * 6))
    if flag.name == "config":
      lines += ["  --config.FIELD=VALUE", _wrapped(_FIELDS, indent=" " * 6)]
  return "\n".join(lines)


_METAVARS = {
  "config": "FILE[:WORD,...]",
  "workdir": "DIRECTORY",
  "data_dir": "DIRECTORY",
  "out": "DIRECTORY",
  "import": "FILE",
  "models": "NAME,...",
  "attacks": "NAME[:SETTING=VALUE]...,...",
  "methods": "NAME[:SETTING=VALUE]...,...",
  "epsilon": "RADIUS",
  "examples": "COUNT",
  "batch_size": "COUNT",
  "norm": "NORM",
  "studies": "NAME,...",
  "compare": "NAME,...",
  "name": "NAME",
  "model": "NAME",
  "design": "NAME",
  "about": "NAME",
  "retrain": "NAME",
  "protocols": "NAME,...",
  "fractions": "SHARE,...",
  "steps": "COUNT",
  "train_examples": "COUNT",
  "seed": "NUMBER",
}
_FIELDS = "any field of the config, e.g. --config.seeds=0,1; --list_fields lists them"
