# Shortcuts: each target wraps commands that the README shows too.
.DEFAULT_GOAL := help
SHELL := /bin/sh
activate := . .venv/bin/activate
# The papers' batch and sizes.
on_gpu := --device cuda --precision bfloat16 --batch-size 48 --audio-samples 65535 --frame-size 224
# The demo on the CPU, and which files are of it: others may lie beside them, such as those of `snakemake sensitivity`.
demo_on_cpu := snakemake --config scale=demo device=cpu -- all \
  && snakemake --config scale=demo device=cpu --summary -- all > results/demo/made.tsv
# One process more than cores, and five at most: tests of a cluster, which come first, wait for it most of their time.
processes = $$(python -c 'import os; print(min(os.cpu_count(), 4) + 1)')
# Files and not their folder: of a file inside a folder that is named, too, pytest forgets the place.
on_cluster := tests/end_to_end/test_slurm.py
# Of those end to end the longest first: no process is left with one of them while the others have nothing to do.
longest := $(foreach name,extended_run interruption real_data whole_run,tests/end_to_end/test_$(name).py)
the_rest := $(filter-out $(on_cluster) $(longest),$(wildcard tests/end_to_end/test_*.py))
tests := $(on_cluster) tests/unit tests/workflow $(longest) $(the_rest)

.PHONY: help setup demo reference check-reference plan test bench lint lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

setup: ## make the environment in .venv, 6 GB; with TORCH=cpu 2 GB, for machines without a GPU (README)
	@sh envs/setup.sh

demo: setup ## remake every table and figure at the demo scale, on CPU, without a network
	@$(activate) && snakemake --config scale=demo -- all && python scripts/show.py --tables paper_tables

reference: setup ## make the demo's tables and figures anew as paper_tables/reference/demo; nothing else may be changed
	@$(activate) && python scripts/reference.py clean && $(demo_on_cpu) && python scripts/reference.py make --made results/demo/made.tsv

check-reference: setup ## make the demo and say which entries and weights this machine makes otherwise, and by how much
	@$(activate) && $(demo_on_cpu) && python scripts/reference.py check --made results/demo/made.tsv

plan: setup ## say what the paper scale, or config="scale=..." of --config, needs: clips, download, disk, hours; nothing is made
	@$(activate) && python workflow/data_plan.py $(config) && echo && python workflow/compute_plan.py $(config)

test: setup ## run the whole test suite
	@$(activate) && $(MAKE) --no-print-directory lint
	@$(activate) && python -m pytest -n $(processes) --dist loadfile --no-loadscope-reorder $(tests)

bench: setup ## time attacks, training, sparse coding, rendering, packing, encoding, reading, features and start-up, ours beside textbook loops
	@$(activate) && for name in attack_loop training ista packing encoding reading features rendering start_up; do echo "## $$name" && python benchmarks/$$name.py || exit; done
	@$(activate) && if python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
	  echo "## attack_loop, GPU" && python benchmarks/attack_loop.py $(on_gpu) --own-batch-size 240 && \
	  echo "## training, GPU" && python benchmarks/training.py $(on_gpu) && \
	  echo "## adversarial_training, GPU" && python benchmarks/adversarial_training.py --device cuda --frames 20 \
	    --frame-size 112 --audio-samples 160000 --hop 320 --mels 64 --width 1 --projection 512 --strides 32 16 \
	    --batch-size 16 --steps 10 --copies 5 --rounds 1; \
	else echo "No CUDA GPU here: attacks and trainings are not timed on one."; fi

lint: setup ## check style, formatting and the workflow
	@$(activate) && ruff check . && ruff format --check . \
	  && snakefmt --check --compact-diff Snakefile workflow/rules && snakemake --lint

lock: setup ## pin every version anew
	@$(activate) && sh envs/lock.sh --upgrade

clean: ## remove what was made, but not paper_tables and not the environment
	find results -mindepth 1 -maxdepth 1 ! -name README.md -exec rm -rf {} +
	rm -rf .snakemake
