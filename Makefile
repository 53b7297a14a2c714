# The names of make.py's commands, for the fingers. Without make: `python3 make.py demo`.
#   make demo PORT=8080          another port
#   make test ARGS="-k alarm"    arguments for pytest, or names of benches
PYTHON ?= python3
ARGS ?=
PORT ?=
.PHONY: help setup demo test check bench docs nightly mutants chaos lock

help:
	@$(PYTHON) make.py --help

demo:
	@$(PYTHON) make.py demo $(if $(PORT),--port $(PORT))

setup test check bench docs nightly mutants chaos lock:
	@$(PYTHON) make.py $@ $(if $(ARGS),-- $(ARGS))
