"""An experiment as a graph of stages: what is computed and kept, in which order, and while what.

plan         a config read and checked, as stages
stage        what a stage is, its identity, and `run_or_read`
stages       the data set, trainings, studies
experiment   runs what is missing, judges the claims, writes the report
readers      for commands that only look: they never train, replace or delete
tables       the claims and the paper's numbers, from files beside the config
together     trainings of one program
workdir      whose a directory is, and who is using it
schema       the fields that a config may have; field_list lists them
settings, seeds, diverged, provenance

What the other commands do:

evaluations, explanations, removals, comparing, redrawing
named_methods    attacks and attributions as a command line names them
later_findings   what they have found, as sections of the report
"""

from robust_saliency.pipeline.experiment import Experiment
from robust_saliency.pipeline.readers import first_of_each, read_networks
from robust_saliency.pipeline.workdir import WorkdirError

__all__ = ["Experiment", "WorkdirError", "first_of_each", "read_networks"]
