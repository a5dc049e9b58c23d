"""What pyproject.toml cannot say: the packages of one folder, and one more from another."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["robust_saliency*"]), "robust_saliency.experiments"])
