# Everything from a fresh clone: `make demo`, `make test`. Needs Python 3.11 or later, git and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: help demo test bench docs check lint types imports fast slow real release-check
.PHONY: architecture constraints clean

help:  ## Show the targets.
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "falx needs Python 3.11 or later; run make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(READY)  ## Train on synthetic slices and write a report; no data or weights needed.
	$(BIN)/falx demo

test: check fast slow real  ## Everything that CI runs.

SHARED ?= ../shared
PRECISION ?= fp32
bench: $(READY)  ## Time the paper's recipe against a plain notebook; needs scans, weights and the peer.
	$(BIN)/python benchmarks/training.py $(SHARED)/data/navoneel \
		--weights $(SHARED)/weights/mobilenet_v2_imagenet.weights.h5 \
		--peer $(SHARED)/peers/paper_notebook.py --precision $(PRECISION)

check: lint types imports  ## Style, types and the rules of dependency.

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

imports: $(READY)
	$(BIN)/lint-imports

fast: $(READY)  ## The fast suite.
	$(BIN)/python -m pytest --ignore tests/real -m "not slow" -n 2 --dist loadfile

slow: $(READY)  ## Whole runs, exports in 8 bits, a browser, another backend.
	$(BIN)/python -m pytest --ignore tests/real -m slow -n 2 --dist loadfile

real: $(READY)  ## On real scans in ../shared; skipped, with the reason, where they are not.
	$(BIN)/python -m pytest tests/real

docs: $(READY)  ## Build the documentation site in build/site, without a network.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

release-check: $(READY)  ## Build the distributions, and use them in empty environments; KEEP=DIR keeps them.
	$(BIN)/python tools/release_check.py $(if $(KEEP),--keep "$(KEEP)")

architecture: $(READY)  ## Draw which room uses which, from the imports; needs graphviz.
	$(BIN)/import-linter drawgraph falx --show-module-counts | tred | \
		dot -Gdpi=110 -Nshape=box -Nfontname=Helvetica -Tpng -o docs/architecture.png

constraints: $(READY)  ## Pin what is installed now.
	$(BIN)/pip freeze --exclude-editable | grep -v '^-e' > constraints.txt

clean:  ## Remove what make made.
	rm -rf $(VENV) build *.egg-info src/*.egg-info
