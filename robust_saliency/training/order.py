"""Which examples each step sees: a function of (seed, step), so that resumed runs repeat it."""

import functools
import math

import numpy as np

from robust_saliency.core import checks


def steps_per_epoch(examples: int, batch_size: int) -> int:
  """Steps in which every example is seen once; the last batch may be short."""
  checks.count(examples=examples, batch_size=batch_size)
  return math.ceil(examples / batch_size)


def batch_indices(
  step: int,
  *,
  examples: int,
  batch_size: int,
  devices: int,
  seed: int,
  shuffle: bool = True,
  drop_short: bool = False,
) -> np.ndarray:
  """The examples of one step, dealt out to the devices.

  Args:
    step: number of the step, from 0.
    examples: size N of the data set.
    batch_size: examples per step over all devices; the number of devices does not change it.
    devices: number of devices over all processes.
    seed: fixes the order of every epoch.
    shuffle: False keeps the data set's own order in every epoch, as some papers do.
    drop_short: leaves out the short last batch of each epoch, for networks whose layers cannot tell
      padding from examples (see `models.from_flax`); there must be a whole one.

  Returns:
    int32 [devices, per device], with -1 for padding.

  >>> batch_indices(1, examples=5, batch_size=3, devices=2, seed=0, shuffle=False).tolist()
  [[3, 4], [-1, -1]]
  """
  checks.count(devices=devices)
  steps = steps_per_epoch(examples, batch_size)
  if drop_short:
    checks.count(batch_size, examples=examples)
    steps = examples // batch_size
  epoch, position = divmod(step, steps)
  order = _shuffled(examples, seed, epoch) if shuffle else np.arange(examples)
  batch = order[position * batch_size : (position + 1) * batch_size]
  per_device = math.ceil(batch_size / devices)
  padded = np.full(devices * per_device, -1, np.int32)
  padded[: len(batch)] = batch
  return padded.reshape(devices, per_device)


# As many as a sweep has seeds; an epoch of 200,000 examples takes 0.8 MB.
@functools.lru_cache(maxsize=64)
def _shuffled(examples: int, seed: int, epoch: int) -> np.ndarray:
  order = np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(examples)
  order = order.astype(np.int32)
  order.flags.writeable = False
  return order
