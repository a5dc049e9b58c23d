"""Experiments as configs: what `--config=NAME` finds by name, installed as part of the package."""
