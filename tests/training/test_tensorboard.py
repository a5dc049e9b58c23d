"""Metrics in TensorBoard's format."""

import importlib
import sys

import pytest

from robust_saliency.training.tensorboard import hidden


def test_a_hidden_module_cannot_be_imported_and_is_there_again_afterwards(tmp_path, monkeypatch):
  (tmp_path / "slow_to_import.py").write_text("value = 3")
  monkeypatch.syspath_prepend(str(tmp_path))
  with hidden("slow_to_import"), pytest.raises(ImportError):
    importlib.import_module("slow_to_import")
  assert "slow_to_import" not in sys.modules
  assert importlib.import_module("slow_to_import").value == 3
  with hidden("slow_to_import"):
    assert importlib.import_module("slow_to_import").value == 3
  monkeypatch.delitem(sys.modules, "slow_to_import")
