# Every target works on a fresh Debian machine that has node, npm and make (and, for containers, root).
# Deno comes from PATH when it is a fit 2.9, else from npm into .toolchain/ (tools/toolchain.sh).

.PHONY: help demo test sim chaos fuzz bench build check clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    build, then show Ormen at work on this machine"
	@echo "make test    check, build and every test; starts a private Docker Engine where none answers"
	@echo "make chaos   kill -9 of decks and sailors under tasks, then under workflows, 3 minutes each; MINUTES=n SEED=n TASKS=n"
	@echo "make fuzz    hostile requests and messages: N=50000, SEED=n repeats a run"
	@echo "make sim     whole clusters under faults, from seeds: SEEDS=10000, or SEED=n for one"
	@echo "make bench   the figures of docs/performance.md, 13 minutes; QUICK=1 in less than one, ONLY=name some rows"
	@echo "make build   one executable file: dist/ormen"
	@echo "make check   format, lint, types, import rules (seconds)"
	@echo "make clean   remove what these made, the toolchain included"

demo:
	@sh tools/demo.sh

test:
	@sh tools/test.sh

chaos:
	@MINUTES="$(MINUTES)" SEED="$(SEED)" TASKS="$(TASKS)" sh tools/chaos.sh

fuzz:
	@N="$(N)" SEED="$(SEED)" sh tools/fuzz.sh

sim:
	@sh tools/sim.sh

bench:
	@ONLY="$(ONLY)" QUICK="$(QUICK)" sh tools/bench.sh

build:
	@sh tools/build.sh

check:
	@sh tools/check.sh

clean:
	@rm -rf dist .toolchain node_modules coverage bench/latest.json
