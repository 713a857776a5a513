# Everything a newcomer or CI runs. Needs Python 3.11 or later and make; all else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# A thread for each of torch's operators would fight the other test processes for the cores.
TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3

.PHONY: demo check test lint bench docs format lock clean

demo: .venv/installed
	$(BIN)/python -m gramophone.offline.commands.demo

# About two minutes on two cores: what to run before each commit.
check: lint
	$(TESTS) -m "not slow and not train and not peer and not gpu"

# Everything; what a machine lacks (a GPU, jackd, ...) is skipped and named.
test: lint
	$(TESTS)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Within ten minutes on two cores; writes docs/figures/bench.md, its picture and its ratios.
bench: .venv/installed-dev
	$(BIN)/python -m gramophone.offline.bench --keep

# The documentation as a site, in out/site; a broken link or a page that cannot be made is an error.
docs: .venv/installed-dev
	$(BIN)/python -m mkdocs build --strict

format: .venv/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.venv/bin/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Gramophone needs Python 3.11 or later')"
	$(PYTHON) -m venv .venv

# The demo draws a picture, so it takes the extra that has matplotlib.
.venv/installed: .venv/bin/python pyproject.toml constraints.txt
	$(INSTALL) -e ".[offline]"
	touch $@

.venv/installed-dev: .venv/installed
	$(INSTALL) -e ".[dev]"
	# References for other people's models, without their trainers' packages, which nothing here imports.
	$(INSTALL) --no-deps neural-amp-modeler nn-tilde
	# RAVE's own code, apart: its package brings one called `tests`; pinned here.
	$(INSTALL) --no-deps --target .venv/rave acids-rave==2.3.1 gin-config==0.5.0 einops==0.8.2 absl-py==2.5.1 \
		GPUtil==1.4.0 lmdb==3.0.0
	touch $@

# Pins what is installed here, without what torch brings for one vendor's GPUs.
lock: .venv/installed-dev
	grep '^#' constraints.txt >.venv/lock
	$(BIN)/python -m pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//' | grep '==' | grep -v '^nvidia-\|^triton' >>.venv/lock
	mv .venv/lock constraints.txt

clean:
	rm -rf .venv out bench.json
