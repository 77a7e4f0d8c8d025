# Each target does the set-up it needs: Linux, Python 3.11 to 3.13, make and the registries are enough.

.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH VIRTUAL_ENV

python := .venv/bin/python -P
ready := .venv/.ready
example := examples/flight_delays

.PHONY: help demo notebooks test check docs crash bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' Makefile

demo: $(ready) ## run the flight delays example, from landing files to scores and a report
	@$(python) $(example)/make_landing.py
	@.venv/bin/headrace run $(example)/pipeline.yaml

notebooks: $(ready) ## run the notebooks on the lake of the example: notebooks/*.ipynb
	@cd notebooks && export PATH="$(CURDIR)/.venv/bin:$$PATH" && for each in *.py; do \
	  ../.venv/bin/jupytext --quiet --set-kernel python3 --to ipynb --execute --output $${each%.py}.ipynb $$each || exit 1; \
	  echo "notebooks/$${each%.py}.ipynb"; done

test: $(ready) ## run all tests in random order, in two processes; ARGS="-m 'not spark'" and the like go to pytest
	@$(python) -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder $(ARGS)

check: $(ready) ## lint, format, import layers, types
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/lint-imports
	@.venv/bin/mypy

docs: $(ready) ## build the documentation as a site, without a network: site/index.html
	@$(python) -m headrace.reference docs/reference
	@$(python) -m headrace.models.pages docs/algorithms
	@.venv/bin/zensical build --clean --strict

crash: $(ready) ## kill runs at random times, two at once, and look at what stands; about an hour
	@$(python) tests/reliability/crash.py $(ARGS)

bench: $(ready) ## measure each stage: time, CPU, memory, rows
	@$(python) benchmarks/stages.py

clean: ## remove the lake and the landing files of the example
	rm -rf lake $(example)/landing

# One environment for all targets, so that none takes away what another needs.
$(ready): pyproject.toml uv.lock spark_jobs/conf/jars.lock.json infra/set_up.sh
	@infra/set_up.sh
	@touch $@
