# Shortcuts: each target wraps commands that the README shows too.
.DEFAULT_GOAL := help
SHELL := /bin/sh
activate := . .venv/bin/activate

.PHONY: help setup demo plan test bench lint lock clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 8

setup: ## make the environment in .venv
	@sh envs/setup.sh

demo: setup ## remake every table and figure at the demo scale, on CPU, without a network
	@$(activate) && snakemake --config scale=demo -- all && python scripts/show.py --tables paper_tables

plan: setup ## say what the paper scale needs: clips, download, disk, hours of training and attacking; nothing is made
	@$(activate) && python workflow/data_plan.py && echo && python workflow/compute_plan.py

test: setup ## run the whole test suite
	@$(activate) && $(MAKE) --no-print-directory lint && python -m pytest

bench: setup ## time attacks, training, sparse coding, packing, reading and start-up, ours beside textbook loops
	@$(activate) && for name in attack_loop training ista packing reading start_up; do echo "## $$name" && python benchmarks/$$name.py || exit; done

lint: setup ## check style, formatting and the workflow
	@$(activate) && ruff check . && ruff format --check . \
	  && snakefmt --check --compact-diff Snakefile workflow/rules && snakemake --lint

lock: setup ## pin every version anew
	@$(activate) && sh envs/lock.sh --upgrade

clean: ## remove what was made, but not paper_tables and not the environment
	rm -rf results .snakemake
