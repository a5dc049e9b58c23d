"""An experiment as a graph of stages: what is computed and kept, in which order, and while what.

plan         a config read and checked, as stages
stage        what a stage is, its identity, and `run_or_read`
stages       the data set, trainings, studies
experiment   runs what is missing, judges the claims, writes the report
readers      for commands that only look: they never train, replace or delete
tables       the claims and the paper's numbers, from files beside the config
judging      from what was found to the report: claims judged, pages drawn
workdir      whose a directory is, and who is using it
schema       the fields that a config may have; field_list lists them
settings     a config's own fields
imports      a user's own methods, from files of theirs

What the plan and the stages are made with:

needs, order         what models and studies need of one another, and in which order they come
seeds                that no network is a copy of another
choices, diverged    networks that a study chooses; those whose training has failed
together, take_over  trainings of one program; a network that is there under another name
checked              plans that were traced before
provenance           versions, devices, precision and date of a run

What the other commands do:

evaluations, explanations, removals, comparing, redrawing
questionnaires, vote_counts   people's votes: what they are asked, and what they have answered
named_methods    attacks and attributions as a command line names them
later_findings   what they have found, as sections of the report
"""

from robust_saliency.pipeline.experiment import Experiment
from robust_saliency.pipeline.readers import first_of_each, read_networks
from robust_saliency.pipeline.workdir import WorkdirError

__all__ = ["Experiment", "WorkdirError", "first_of_each", "read_networks"]
