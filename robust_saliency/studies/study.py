"""What a study is: its settings, the axes of its arrays, what it measures, and its page."""

import abc
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from robust_saliency import models
from robust_saliency.core import checks
from robust_saliency.core.settings import Names, Seeds
from robust_saliency.data import Dataset
from robust_saliency.drawing.palette import Style
from robust_saliency.drawing.section import Section
from robust_saliency.results.result import Layout, Result
from robust_saliency.studies.batches import Networks, key_for
from robust_saliency.training import Recipe

# What is measured: arrays by name, and JSON-serialisable metadata.
Measured = tuple[dict[str, np.ndarray], dict[str, Any]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study(abc.ABC):
  """One measurement of trained networks on a data set.

  A kind of study is a frozen dataclass in a folder of its own: its fields are the settings that a
  config may give, read by `core.settings`, a field without a default is required.

  Attributes:
    kind: what configs call it.
    version: raised by hand when its code changes its numbers, so that old results are not taken
      for new ones.
    shows_images: whether it is about single images of the first seed's networks, so that one that
      has diverged is left out; elsewhere its numbers are NaN.
    keeps_files: whether it leaves files in its directory beside its arrays, too large for a
      report. It is then handed networks that have diverged as they are.
    models: the networks that it is measured on, in this order; None for all.
    seeds: those of the experiment's seeds whose networks it is measured on; None for all, which
      all of its networks must then have.
  """

  kind: ClassVar[str]
  version: ClassVar[int] = 1
  shows_images: ClassVar[bool] = False
  keeps_files: ClassVar[bool] = False

  models: Names | None = None
  seeds: Seeds | None = None

  def networks(self, trained: Iterable[str]) -> tuple[str, ...]:
    """The networks that it is handed, of those that are trained or chosen, in their order."""
    return tuple(trained) if self.models is None else self.models

  def without_classes(self) -> tuple[str, ...]:
    """Those of its networks that need not tell classes apart; elsewhere they are refused."""
    return ()

  @abc.abstractmethod
  def layout(self, networks: tuple[str, ...], seeds: tuple[int, ...], dataset: Dataset) -> Layout:
    """The axes of the arrays that `measure` gives, and their coordinates."""

  @abc.abstractmethod
  def measure(self, networks: Networks, dataset: Dataset, key: Array, directory: Path) -> Measured:
    """Measures.

    Args:
      networks: name -> one trained network per seed.
      dataset: what is measured on.
      key: fixes whatever is random.
      directory: the study's own; what it keeps there, a later call with the same settings and
        networks may resume from. It goes at the end, unless the study `keeps_files`.

    Returns:
      Arrays with the axes of `layout`, perhaps others too, and metadata for the page.
    """

  def needed_studies(self) -> tuple[str, ...]:
    """The studies whose results it is handed, as the config calls them; they come before it."""
    return ()

  def check_needed(self, studies: Mapping[str, "Study"], trained: Iterable[str]) -> None:
    """Raises where the studies that it needs do not give what it reads of them.

    Args:
      studies: `needed_studies` by name.
      trained: all networks of the experiment.

    Raises:
      ValueError: in a sentence that names the field.
    """
    del studies, trained

  def measure_after(
    self,
    results: Mapping[str, Result],
    networks: Networks,
    dataset: Dataset,
    key: Array,
    directory: Path,
  ) -> Measured:
    """`measure`, for a study that needs others.

    Args:
      results: of `needed_studies`, by name.
      networks: as of `measure`, and so are the others.
      dataset: see `measure`.
      key: see `measure`.
      directory: see `measure`.
    """
    del results
    return self.measure(networks, dataset, key, directory)

  def after_divergence(self, result: Result, networks: Networks) -> Result:
    """What follows from arrays in which the numbers of networks that have diverged are NaN.

    Args:
      result: what was measured, with NaN in their places.
      networks: name -> one per seed; those that have diverged say so.
    """
    del networks
    return result

  @staticmethod
  def without_derived(result: Result) -> Result:
    """What a small report keeps of a result.

    Nothing that follows from the rest or is not shown, and what is only shown as exactly as it is
    shown. Claims are judged by what is kept. What has been left out once is not changed again.
    """
    return result

  @staticmethod
  def with_derived(result: Result) -> Result:
    """A result with all of its arrays, whether or not `without_derived` has left some out."""
    return result

  def is_whole(self, result: Result) -> bool:
    """Whether the files that it keeps beside a result (in `result.folder`) are there, undamaged."""
    del result
    return True

  @abc.abstractmethod
  def page(self, result: Result, styles: Mapping[str, Style]) -> Section:
    """The report's section.

    Args:
      result: what `measure` has given, or an equal one that was read.
      styles: how each network is drawn.
    """

  def check_training(self, recipes: Mapping[str, Recipe]) -> None:
    """Raises for networks whose training leaves nothing to measure.

    Args:
      recipes: those of the networks that it is measured on.

    Raises:
      ValueError: in a sentence that names the network and the field of its recipe.
    """
    del recipes

  def methods(self, dataset: Dataset) -> Mapping[str, Callable[..., Array]]:
    """Field -> an attack or attribution, `(key, logits_fn, x, y) -> array`, for `check`."""
    del dataset
    return {}

  def check(self, modules: Mapping[str, nn.Module], dataset: Dataset) -> None:
    """Raises, by tracing alone, for what could not be measured.

    Args:
      modules: the networks that it is measured on.
      dataset: what it would be measured on.

    Raises:
      ValueError, TypeError: in a sentence that names the field.
    """
    methods = self.methods(dataset)
    x = jax.ShapeDtypeStruct((2, *dataset.image_shape), jnp.float32)
    y = jax.ShapeDtypeStruct((2,), jnp.int32)
    for module in dict.fromkeys(modules.values()):
      variables = jax.eval_shape(lambda m=module: models.init(m, jax.random.key(0), x.shape[1:]))
      for field, method in methods.items():

        def run(variables: Any, x: Array, y: Array, m: nn.Module = module) -> Array:
          return method(jax.random.key(0), models.logits_fn(m, variables), x, y)  # noqa: B023

        try:
          jax.eval_shape(run, variables, x, y)
        except (ValueError, TypeError) as error:
          raise type(error)(f"{field}: {error}") from None


def run_study(
  name: str,
  study: Study,
  networks: Networks,
  dataset: Dataset,
  *,
  key: Array,
  seeds: tuple[int, ...],
  directory: Path,
  metadata: Mapping[str, Any] | None = None,
  results: Mapping[str, Result] | None = None,
) -> Result:
  """Measures, and holds the arrays to the study's own layout.

  Args:
    name: what the config calls the study; folded into the key.
    study: its settings.
    networks: name -> one trained network per seed, those of `study.networks`.
    dataset: what is measured on.
    key: a PRNG key.
    seeds: the networks' seeds.
    directory: the study's own.
    metadata: further entries for its page, such as the radii that the networks were trained with.
    results: those of the studies that it needs, by name.
  """
  for network, of_seeds in networks.items():
    checks.count(1, **{f"networks of {network!r}": len(of_seeds)})
  own = key_for(key, name)
  arrays, about = study.measure_after(results or {}, networks, dataset, own, directory)
  layout = study.layout(tuple(networks), seeds, dataset)
  return Result(name, study.kind, layout, arrays, {**(metadata or {}), **about})
