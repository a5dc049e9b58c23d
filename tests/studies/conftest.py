"""The studies' common ground: two linear networks and images between the bounds."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import linear


@pytest.fixture
def networks():
  return {"first": [linear.network(0), linear.network(2)], "second": [linear.network(1)] * 2}


@pytest.fixture
def dataset():
  return linear.dataset()


@pytest.fixture
def hits():
  """(counts [...], examples) -> booleans [..., examples] of which the first `counts` are true."""
  return lambda counts, examples: np.arange(examples) < np.asarray(counts)[..., None]
