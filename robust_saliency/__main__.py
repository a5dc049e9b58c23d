"""All commands behind one name: `robust-saliency COMMAND`, or `python -m robust_saliency`."""

import robust_saliency.startup  # isort: skip
import difflib
import importlib
import sys

from robust_saliency import command_line

COMMANDS = {
  "main": "runs an experiment, from its config to its report",
  "evaluate": "measures how robust an experiment's networks are, by any attacks",
  "explain": "explains them by several methods",
  "roar": "measures what their explanations are worth, by retraining (ROAR, KAR)",
  "user_study": "asks people about its maps, and counts their votes",
  "compare": "puts several finished runs into one table",
  "redraw": "draws a report anew from its own data",
  "data": "lists the data sets, and prepares one",
}
_EXAMPLE = "robust-saliency main --config=digits --workdir=runs/digits"


def main() -> None:
  """Runs the command that the first argument names with the others."""
  robust_saliency.startup.stop_on_signals()
  if len(sys.argv) < 2:
    command_line.stop(f"give a command, one of {', '.join(COMMANDS)}; e.g. {_EXAMPLE}")
  name = sys.argv.pop(1)
  if name in ("-h", "-help", "--help", "help"):
    print(_usage())
  elif name == "--version":
    print(robust_saliency.__version__)
  elif name == "data":
    # Says its name and not the first argument's.
    importlib.import_module("robust_saliency.data.__main__").main(sys.argv[1:])
  elif name in COMMANDS:
    command_line.run(importlib.import_module(f"robust_saliency.{name}").COMMAND)
  else:
    near = difflib.get_close_matches(name, COMMANDS, 1)
    guess = f" (did you mean {near[0]!r}?)" if near else ""
    command_line.stop(f"the command must be one of {', '.join(COMMANDS)}; got {name!r}{guess}")


def _usage() -> str:
  width = max(map(len, COMMANDS))
  lines = [f"  {name:{width}}  {about}" for name, about in COMMANDS.items()]
  return "\n".join(
    [
      "Adversarial robustness and interpretable gradients in JAX.",
      "",
      f"  {_EXAMPLE}",
      "",
      "Commands; each has a --help of its own:",
      *lines,
    ]
  )


if __name__ == "__main__":
  main()
