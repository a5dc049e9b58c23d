"""Methods of somebody's own, one of each kind, none of which the package knows."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from robust_saliency import attacks, attributions, data, models, objectives, studies
from robust_saliency.drawing.section import Row, RowGroup, Section, Table
from robust_saliency.results import mean
from robust_saliency.results.result import Layout


def brighter(key, logits_fn, x, y, *, epsilon, bounds=(0.0, 1.0)):
  """An attack that adds epsilon to every pixel."""
  del key, logits_fn, y
  return jnp.clip(x + epsilon, *bounds)


attacks.register("brighter", brighter, norm="linf")


def ink(key, logits_fn, x, y):
  """An attribution that is the image itself."""
  del key, logits_fn, y
  return x


attributions.register("ink", ink, signed=False)


@objectives.term("small_logits", title="Squared logits")
def small_logits(passes, *, power=2.0):
  """A term that keeps logits small."""
  return jnp.mean(jnp.abs(passes.clean().logits) ** power, axis=-1)


class Line(nn.Module):
  """A linear classifier with the arguments that every model has."""

  num_classes: int = 10
  axis_name: str | None = None

  @nn.compact
  def __call__(self, x, *, train=False, mask=None, dropout_keys=None):
    """Maps images [B, H, W, C] to logits [B, K]."""
    return nn.Dense(self.num_classes)(x.reshape(len(x), -1))


models.register("line", Line)


def two_digits():
  """The zeros and ones of scikit-learn's digits."""
  digits = data.load("digits")
  return dataclasses.replace(
    digits,
    name="two_digits",
    classes=("0", "1"),
    train=digits.train.take(digits.train.y < 2),
    test=digits.test.take(digits.test.y < 2),
  )


data.register("two_digits", two_digits)


@studies.register
@dataclasses.dataclass(frozen=True, kw_only=True)
class LogitSizes(studies.Study):
  """The largest logit of each test image."""

  kind = "logit_sizes"
  examples: int = 20

  def layout(self, networks, seeds, dataset):
    """One number for each network, seed and image; the sizes of one network grow with its seed."""
    axes = {"largest": ("model", "seed", "example"), "spread": ("model", "seed")}
    return Layout(axes, {"model": networks, "seed": seeds})

  def measure(self, networks, dataset, key, directory):
    """See `Study.measure`."""
    x = dataset.to_float(dataset.test.x[: self.examples])
    largest = np.array(
      [[np.abs(one.logits_fn(x)).max(axis=1) for one in of] for of in networks.values()]
    )
    return {"largest": largest, "spread": largest.std(axis=-1)}, {}

  def page(self, result, styles):
    """One table."""
    rows = [
      Row(name, [f"{mean(result.at('largest', model=name)).value:.3f}"])
      for name in result.layout.coordinates["model"]
    ]
    table = Table("Largest logit, mean over images.", ["Network", "Mean"], [RowGroup(rows)])
    return Section(title="Sizes of logits", reading="How large logits are.", tables=[table])


jax.numpy.zeros(0)  # a file may run whatever it likes when it is imported
