"""Configs that keep the order in which they are written."""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict


def ordered(fields: Mapping[str, Any]) -> ConfigDict:
  """A `ConfigDict` whose fields, at every depth, stay in the order in which they are written.

  By default ml-collections sorts them, and models and studies would appear in the report in
  alphabetical order.

  >>> list(ordered({"models": {"standard": 1, "pgd": 2}}).models)
  ['standard', 'pgd']
  """
  nested = {
    name: ordered(value) if isinstance(value, Mapping) else value for name, value in fields.items()
  }
  return ConfigDict(nested, sort_keys=False)
