# Everything starts from a bare Python >= 3.11 with pip:
#
#   make demo      trains, attacks and explains networks on real digits, and writes a report
#   make test      checks the style, the types, the folder order, the wheel, and runs the tests
#   make help      lists the rest
#
# PYTHON chooses the interpreter (`make test PYTHON=python3.12`). The default one gets .venv, any
# other a virtual environment of its own, so that none breaks another.
# PIP_ARGS and PIP_TORCH_ARGS are handed to pip, e.g. PIP_TORCH_ARGS="--index-url <PyTorch's CPU index>".

DEFAULT_PYTHON = python3
PYTHON ?= $(DEFAULT_PYTHON)
PIP_ARGS ?=
PIP_TORCH_ARGS ?=
# A test process is mostly compiling, on one core; tests of one file share what was compiled.
PYTEST_WORKERS ?= 2

# "3.11", or nothing where PYTHON does not start.
PYTHON_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)

ifeq ($(PYTHON),$(DEFAULT_PYTHON))
VENV = .venv
else
VENV = .venv-$(PYTHON_VERSION)
endif

# jax 0.10.2 is the last one for Python 3.11.
ifeq ($(PYTHON_VERSION),3.11)
LOCK = requirements/lock-py311.txt
# They take half of the time to compile a test; later ones cannot be told to do without.
NO_FUSION_EMITTERS = --xla_cpu_use_fusion_emitters=false
else
LOCK = requirements/lock-py312.txt
NO_FUSION_EMITTERS =
endif

# Most of what is installed is never imported: Python compiles the rest when it is.
PIP_INSTALL = -m pip install --quiet --no-compile --disable-pip-version-check $(PIP_ARGS)
INSTALL_THIS = $(PIP_INSTALL) --no-deps --no-build-isolation

# Files in their own order: xdist would put those of few tests last, the longest of all among them.
PYTEST_ARGS = -n $(PYTEST_WORKERS) --dist loadfile --no-loadscope-reorder
PYTEST = $(VENV)/bin/python -m pytest $(PYTEST_ARGS)

# A stamp says which file lists are installed; a newer list makes it stale.
INSTALLED = $(VENV)/installed-$(PYTHON_VERSION)
PEERS_INSTALLED = $(VENV)/installed-peers-$(PYTHON_VERSION)
LOWER_INSTALLED = .venv-lower/installed
DOCS_INSTALLED = $(VENV)/installed-docs-$(PYTHON_VERSION)
TPU_INSTALLED = .venv-tpu/installed-$(PYTHON_VERSION)

# What was compiled once, for a test or a demo, is not compiled again.
export JAX_COMPILATION_CACHE_DIR := $(CURDIR)/.cache/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS := 0

# A test runs what it compiles once or twice: most of its time would go into LLVM's optimiser and
# into splitting small programs for compilers in parallel. The slow tests and those with peers run
# what users run.
COMPILE_FAST = --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true \
  --xla_cpu_parallel_codegen_split_count=1 $(NO_FUSION_EMITTERS)

# What the lowest versions are installed with: they have no wheels for later Pythons.
LOWER_PYTHON ?= $(if $(filter 3.11,$(PYTHON_VERSION)),$(PYTHON),python3.11)
CHECKS ?= test test-slow test-peers check-tpu test-lower check-dist docs

# JOBS=2 trains and measures two networks at a time, each on half of the cores.
JOBS ?= 1
MAIN = $(VENV)/bin/python -m robust_saliency.main --jobs=$(JOBS)

WORKDIR ?= runs/digits
ROSS_WORKDIR ?= runs/ross2018
PAPER_WORKDIR ?= runs
OUT ?= runs/gpu

.DEFAULT_GOAL := help
.PHONY: help demo docs check-dist ross-small ross-paper noack-small kim-small kim-boundary kim-manifold kim-roar normlime-small gpu-package gpu-ross gpu-noack gpu-kim gpu-normlime bench-gpu redraw notebooks test lint wheel-test test-peers test-slow fuzz test-lower check-all soak check-tpu benchmarks lock check-python clean

help:  ## Lists the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1|/p' Makefile | awk -F'|' '{ printf "  make %-12s %s\n", $$1, $$2 }'

demo: $(INSTALLED)  ## Runs experiments/digits.py and says where its report is
	$(MAIN) --config=experiments/digits.py --workdir="$(WORKDIR)"
	@echo "Open $(WORKDIR)/report.html in a browser."

# SVHN takes --config=experiments/ross2018.py:svhn,small.
ross-small: $(INSTALLED)  ## Repeats Ross & Doshi-Velez 2018 on MNIST and notMNIST, about four hours on two cores
	for data in mnist notmnist; do \
	  $(MAIN) --config=experiments/ross2018.py:$$data,small \
	    --workdir="$(ROSS_WORKDIR)-$$data-small" || exit 1; \
	done
	@echo "Open $(ROSS_WORKDIR)-mnist-small/report.html and $(ROSS_WORKDIR)-notmnist-small/report.html."

# ROSS_PAPER=,main,3000 for the paper's main comparison alone, and less training.
ross-paper: $(INSTALLED)  ## Repeats it on MNIST with the paper's own training: most of a day on two cores, resumed
	$(MAIN) --config=experiments/ross2018.py:mnist,paper$(ROSS_PAPER) \
	  --workdir="$(ROSS_WORKDIR)-mnist-paper"

noack-small: $(INSTALLED)  ## Repeats Noack et al. 2019 on MNIST with five seeds, three to four hours on two cores with JOBS=2
	$(MAIN) --config=experiments/noack2019.py:mnist,small \
	  --workdir="$(PAPER_WORKDIR)/noack2019-mnist-small"

kim-small: kim-boundary kim-manifold kim-roar  ## Repeats Kim et al. 2019, the parts below

kim-boundary: $(INSTALLED)  ## Boundaries in the plane, a minute
	$(MAIN) --config=experiments/kim2019.py:boundary \
	  --workdir="$(PAPER_WORKDIR)/kim2019-boundary"

kim-manifold: $(INSTALLED)  ## Distance to a VAE-GAN's manifold on MNIST and Fashion-MNIST, one to three hours on two cores
	for data in mnist fashion_mnist; do \
	  $(MAIN) --config=experiments/kim2019.py:manifold,$$data,small \
	    --workdir="$(PAPER_WORKDIR)/kim2019-manifold-$$data-small" || exit 1; \
	done

kim-roar: $(INSTALLED)  ## ROAR and KAR on CIFAR-10, an hour and a half on two cores
	$(MAIN) --config=experiments/kim2019.py:roar,small \
	  --workdir="$(PAPER_WORKDIR)/kim2019-roar-small"

normlime-small: $(INSTALLED)  ## NormLIME's maps of MNIST's classes, with KAR and ROAR, one to two and a half hours on two cores
	$(MAIN) --config=experiments/normlime2019.py:mnist,small \
	  --workdir="$(PAPER_WORKDIR)/normlime2019-mnist-small"

gpu-package: $(INSTALLED)  ## Fills .gpu/ with what a bare machine with an accelerator lacks (DATA="mnist ...")
	$(VENV)/bin/python -m gpu.package $(or $(DATA),mnist)

# No virtual environment: such a machine has no network, and a jax of its own for its accelerator.
# STEPS=5 rehearses it.
gpu-ross:  ## Repeats Ross & Doshi-Velez 2018 with the paper's own training, in minutes of an accelerator
	PYTHONPATH="$(CURDIR)/.gpu/site" $(PYTHON) -m gpu.run ross2018 \
	  --workdir="$(ROSS_WORKDIR)-gpu$(STEPS:%=-%)" --out="$(OUT)" $(STEPS:%=--steps=%)

gpu-noack:  ## Repeats Noack et al. 2019 with all training images, likewise
	PYTHONPATH="$(CURDIR)/.gpu/site" $(PYTHON) -m gpu.run noack2019 \
	  --workdir="$(PAPER_WORKDIR)/noack2019-gpu$(STEPS:%=-%)" --out="$(OUT)" $(STEPS:%=--steps=%)

# After make gpu-package DATA=cifar10:15000.
gpu-kim:  ## Kim et al. 2019's ROAR and KAR with networks of the full width, likewise
	PYTHONPATH="$(CURDIR)/.gpu/site" $(PYTHON) -m gpu.run kim2019 \
	  --workdir="$(PAPER_WORKDIR)/kim2019-gpu$(STEPS:%=-%)" --out="$(OUT)" $(STEPS:%=--steps=%)

gpu-normlime:  ## NormLIME's maps from 10,000 images, with masks of each class, too, likewise
	PYTHONPATH="$(CURDIR)/.gpu/site" $(PYTHON) -m gpu.run normlime2019 \
	  --workdir="$(PAPER_WORKDIR)/normlime2019-gpu$(STEPS:%=-%)" --out="$(OUT)" $(STEPS:%=--steps=%)

# Needs PyTorch with CUDA beside JAX's.
bench-gpu:  ## Times attacks, attributions and training steps beside peers on a GPU, after make gpu-package
	for file in step_costs attributions attacks; do \
	  PYTHONPATH="$(CURDIR):$(CURDIR)/.gpu/site" $(PYTHON) benchmarks/$$file.py || exit 1; \
	done

# Reports of earlier versions do not keep what they show.
redraw: $(INSTALLED)  ## Draws the reports in experiments/results anew from the arrays that they keep
	for kept in experiments/results/*/*/data/training.npz; do \
	  $(VENV)/bin/python -m robust_saliency.redraw --small --workdir="$${kept%/data/*}" || exit 1; \
	done

notebooks: $(INSTALLED)  ## Executes colabs/*.ipynb in place, and keeps their outputs
	$(VENV)/bin/python colabs/execute.py

test: $(INSTALLED)  ## Runs all checks, then the tests (those marked slow or peers apart)
	$(MAKE) --no-print-directory -j2 --output-sync=target lint wheel-test
	XLA_FLAGS="$(XLA_FLAGS) $(COMPILE_FAST)" $(PYTEST) -m "not slow and not peers"

lint: $(INSTALLED)  ## Checks style, types and the order of the folders
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .
	$(VENV)/bin/python -m mypy
	$(VENV)/bin/lint-imports

# In an environment that has nothing else; twine says whether an index would take them.
check-dist: check-python  ## Builds wheel and sdist, checks them, and runs the demo's smoke size by the wheel alone
	rm -rf build dist .venv-dist
	$(PYTHON) -m venv .venv-dist
	.venv-dist/bin/python $(PIP_INSTALL) build twine
	.venv-dist/bin/python -m build --outdir dist .
	.venv-dist/bin/twine check --strict dist/*
	.venv-dist/bin/python $(PIP_INSTALL) dist/*.whl
	cd .venv-dist && bin/robust-saliency main --config=digits:smoke --workdir=run

wheel-test: $(INSTALLED)  ## Builds the wheel, installs it and uses it away from the source tree
	rm -rf build dist
	$(VENV)/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	$(VENV)/bin/python $(INSTALL_THIS) --target build/installed dist/*.whl
	$(VENV)/bin/python tests/check_installed.py build/installed

test-peers: $(PEERS_INSTALLED)  ## Runs the tests that compare with PyTorch and other packages
	$(PYTEST) -m "peers and not slow"

# Without network. Always from nothing: an interrupted build leaves a search that lacks pages.
docs: $(DOCS_INSTALLED)  ## Builds the site, checks its links, and looks at it in a browser
	rm -rf site .cache/docs
	$(VENV)/bin/python -m sphinx --quiet --fail-on-warning --keep-going --doctree-dir .cache/docs docs site
	$(VENV)/bin/python -m docs.building.links site
	$(VENV)/bin/python -m pytest -n 0 tests/docs/test_built_site.py
	@echo "Open site/index.html."

test-slow: $(INSTALLED)  ## Runs the tests that take minutes, the notebooks among them
	$(PYTEST) -m "slow and not peers"

# SEED=1 for other cases.
fuzz: $(INSTALLED)  ## Gives configs, commands and functions nonsense; lists what is not refused well
	$(VENV)/bin/python -m tests.fuzz --seed=$(or $(SEED),0)

test-lower: $(LOWER_INSTALLED)  ## Runs the tests with the lowest versions that pyproject.toml allows
	XLA_FLAGS="$(XLA_FLAGS) $(filter-out %emitters=false,$(COMPILE_FAST)) --xla_cpu_use_fusion_emitters=false" \
	  .venv-lower/bin/python -m pytest $(PYTEST_ARGS) -m "not slow and not peers"

check-all:  ## Runs every check, and says at the end how each ended and how long it took
	@status=0; summary=; for check in $(CHECKS); do \
	  started=$$(date +%s); outcome=passed; \
	  $(MAKE) --no-print-directory $$check || { outcome=FAILED; status=1; }; \
	  summary="$$summary$$(printf '%-12s %s in %d s' $$check $$outcome $$(($$(date +%s) - started)))\n"; \
	done; printf "$$summary"; exit $$status

soak: $(INSTALLED)  ## Kills one experiment 20 times, and compares it with an undisturbed one
	$(VENV)/bin/python -m pytest -m slow tests/test_soak.py

check-tpu: $(TPU_INSTALLED)  ## Compiles the programs for TPU v5e, without a TPU
	.venv-tpu/bin/python tests/tpu/check_tpu.py

benchmarks: $(PEERS_INSTALLED)  ## Times this package beside its peers
	for file in benchmarks/*.py; do $(VENV)/bin/python "$$file" || exit 1; done

$(INSTALLED): $(LOCK) pyproject.toml | check-python
	@echo "Installing $(LOCK) into $(VENV): a few minutes the first time."
	test -x $(VENV)/bin/python$(PYTHON_VERSION) || $(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python $(PIP_INSTALL) -r $(LOCK)
	$(VENV)/bin/python $(INSTALL_THIS) --editable .
	touch $@

$(PEERS_INSTALLED): $(INSTALLED) requirements/peers.txt requirements/peers-no-deps.txt
	$(VENV)/bin/python $(PIP_INSTALL) $(PIP_TORCH_ARGS) -c $(LOCK) -r requirements/peers.txt
	$(VENV)/bin/python $(PIP_INSTALL) --no-deps -r requirements/peers-no-deps.txt
	touch $@

$(DOCS_INSTALLED): $(INSTALLED) requirements/docs.txt
	$(VENV)/bin/python $(PIP_INSTALL) -c $(LOCK) -r requirements/docs.txt
	touch $@

$(LOWER_INSTALLED): requirements/lower.txt pyproject.toml
	@echo "Installing requirements/lower.txt into .venv-lower: a few minutes the first time."
	test -x .venv-lower/bin/python3.11 || $(LOWER_PYTHON) -m venv --clear .venv-lower
	test -x .venv-lower/bin/python3.11 || { echo "make test-lower needs Python 3.11: LOWER_PYTHON=$(LOWER_PYTHON) is another"; exit 1; }
	.venv-lower/bin/python $(PIP_INSTALL) -r requirements/lower.txt
	.venv-lower/bin/python $(INSTALL_THIS) --editable .
	touch $@

# Of its own: with libtpu installed, every start of JAX off a TPU complains.
$(TPU_INSTALLED): $(LOCK) requirements/tpu.txt pyproject.toml | check-python
	@echo "Installing $(LOCK) and libtpu into .venv-tpu: a few minutes the first time."
	test -x .venv-tpu/bin/python$(PYTHON_VERSION) || $(PYTHON) -m venv --clear .venv-tpu
	.venv-tpu/bin/python $(PIP_INSTALL) -r $(LOCK) -r requirements/tpu.txt
	.venv-tpu/bin/python $(INSTALL_THIS) --editable .
	touch $@

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "robust_saliency needs Python 3.11 or newer, but PYTHON=$(PYTHON) is $(or $(PYTHON_VERSION),not a Python that starts): say which one to use, e.g. make test PYTHON=python3.12"; \
	  exit 1; }

lock: check-python  ## Writes the lock file of PYTHON's family anew from pyproject.toml
	$(PYTHON) -m venv --clear .venv-lock
	.venv-lock/bin/python $(PIP_INSTALL) --upgrade ".[dev]"
	sed '/^[^#]/,$$d' $(LOCK) > .venv-lock/lock.txt
	.venv-lock/bin/python -m pip freeze --all --exclude pip --exclude robust_saliency >> .venv-lock/lock.txt
	mv .venv-lock/lock.txt $(LOCK)
	rm -rf .venv-lock

clean:  ## Removes what was built (the virtual environments too), but no run
	rm -rf .venv .venv-* .cache build dist site docs/api *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
