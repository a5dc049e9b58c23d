"""What every command needs before JAX starts: its flags, its config, and errors in a sentence.

Nothing here imports JAX before it is needed: --help and a mistake answer at once.

command       what a command is, how it is run, --help
shared_flags  the flags that several commands have
parsing       from a command line to flags
config_files  the config that --config names, and the fields that flags set
shipped       the experiments that come with the package
finished      what a finished run was left like
compilation_cache   what was compiled once, kept for the next start
garbage       how often Python looks for it
devices       how many devices JAX shall see
jobs          several processes that share an experiment
stopping      how a command ends that cannot go on
"""

from robust_saliency.command_line.command import Command, as_typed, run, say_how_to_show
from robust_saliency.command_line.config_files import load_config
from robust_saliency.command_line.devices import host_devices, use_all_cores
from robust_saliency.command_line.garbage import collecting_rarely
from robust_saliency.command_line.parsing import parse_flags
from robust_saliency.command_line.shared_flags import (
  config_folder,
  define_config_flag,
  imported,
  missing_workdir,
  shared,
)
from robust_saliency.command_line.stopping import stop

__all__ = [
  "Command",
  "as_typed",
  "collecting_rarely",
  "config_folder",
  "define_config_flag",
  "host_devices",
  "imported",
  "load_config",
  "missing_workdir",
  "parse_flags",
  "run",
  "say_how_to_show",
  "shared",
  "stop",
  "use_all_cores",
]
