"""Training: a pmapped step, a loop that resumes, checkpoints that are verified."""

from robust_saliency.training.divergence import DivergedError
from robust_saliency.training.early_stopping import Selection
from robust_saliency.training.interruption import StoppedError
from robust_saliency.training.loop import train
from robust_saliency.training.many import train_many, tries_one_program_by_default
from robust_saliency.training.metrics import MetricsWriter, read_metrics
from robust_saliency.training.networks import Network, TrainedNetwork
from robust_saliency.training.optimizers import OPTIMIZERS, get_optimizer
from robust_saliency.training.order import batch_indices, steps_per_epoch
from robust_saliency.training.probe import Probe, probe_metrics
from robust_saliency.training.recipe import Recipe, training_order
from robust_saliency.training.state import TrainState, create_state
from robust_saliency.training.step import (
  make_step,
  map_over_devices,
  replicate,
  steps_per_call_by_default,
)
from robust_saliency.training.sweeps import sweeps
from robust_saliency.training.together import Member, begun_as_one_program
from robust_saliency.training.trial import one_program_is_faster

__all__ = [
  "OPTIMIZERS",
  "DivergedError",
  "Member",
  "MetricsWriter",
  "Network",
  "Probe",
  "Recipe",
  "Selection",
  "StoppedError",
  "TrainState",
  "TrainedNetwork",
  "batch_indices",
  "begun_as_one_program",
  "create_state",
  "get_optimizer",
  "make_step",
  "map_over_devices",
  "one_program_is_faster",
  "probe_metrics",
  "read_metrics",
  "replicate",
  "steps_per_call_by_default",
  "steps_per_epoch",
  "sweeps",
  "train",
  "train_many",
  "training_order",
  "tries_one_program_by_default",
]
