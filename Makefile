# One machine, from nothing: `make setup`, `make demo`, `make up`. For work on Usher: `make test`, `make lint`, `make bench`.
# Only python3 (3.11 or newer), make and git have to be there. Every step is done once; a second run needs no network.

VENV   := .venv
BIN    := $(VENV)/bin
STAMPS := $(VENV)/.stamps
MODELS := $(or $(USHER_DATA_DIR),.usher)/models
PIP    := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input

# With a speech model of the user's own, that one is checked and none is installed.
MODEL := $(if $(USHER_TRANSCRIPTION__MODEL),check-model,$(MODELS)/faster-whisper-base/model.bin)

.DELETE_ON_ERROR:
.PHONY: help setup demo up test engines chaos lint generate bench lock clean check-model
.DEFAULT_GOAL := help

help:
	@echo "make setup     everything that Usher needs on this machine"
	@echo "make demo      a meeting with a bot in it, from nothing to a transcript"
	@echo "make up        run Usher on this machine"
	@echo "make test      lint and all tests"
	@echo "make engines   Docker, Nomad and Kubernetes for the tests; without them those tests are skipped"
	@echo "make chaos     the long form: minutes of exploration, faults, planted bugs; about an hour"
	@echo "make lint      lint alone"
	@echo "make generate  renew the generated files"
	@echo "make bench     measure everything; ONLY=B1,B2 for some"
	@echo "make clean     remove the virtual environment and what tools leave behind (not .usher)"

setup: $(STAMPS)/usher $(STAMPS)/browser $(MODEL)
	@echo "Everything is installed."

demo: setup
	@$(BIN)/usher demo

up: setup
	@$(BIN)/usher up

test: setup $(STAMPS)/dev lint
	$(BIN)/python -m pytest -m "not long"

# The real ones, apart from any that the machine has; kept in ~/.cache/usher-engines. Needs root, and go to build them.
engines:
	@sh tools/engines/all.sh start

# The long form of what is said of failures in docs/explanation: about an hour. MINUTES for the explorer.
chaos: setup $(STAMPS)/dev
	$(BIN)/python -m tests.explorer --crashes
	$(BIN)/python -m tests.explorer --minutes $(or $(MINUTES),5)
	$(BIN)/python -m pytest tests/chaos tests/unit/bench tests/integration/deploy
	$(BIN)/python -m tools.mutants

lint: $(STAMPS)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.house
	$(BIN)/python -m tools.generate --check

generate: $(STAMPS)/dev
	$(BIN)/python -m tools.generate

bench: setup $(STAMPS)/dev
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY))

# runtime.lock is for a machine with everything; each image gets what it needs of it, in the same versions.
COMPILE := uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
STOCK   := requirements/stock-whisper-live
IMAGES  := $(COMPILE) -c requirements/runtime.lock pyproject.toml

lock:
	$(COMPILE) --all-extras --group build pyproject.toml -o requirements/runtime.lock
	$(COMPILE) --all-extras --group build --group dev -c requirements/runtime.lock pyproject.toml -o requirements/dev.lock
	$(IMAGES) --extra docker --extra kubernetes --extra s3 -o requirements/manager.lock
	$(IMAGES) --extra bot -o requirements/bot.lock
	$(IMAGES) --extra transcription -o requirements/transcription.lock
	$(COMPILE) -c requirements/runtime.lock --group pyproject.toml:build -o requirements/build.lock
	$(COMPILE) --excludes $(STOCK).excluded $(STOCK).in -o $(STOCK).lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(STAMPS)/venv: tools/setup/python.sh
	@echo "1/4 Python environment …"
	@sh tools/setup/python.sh $(VENV)
	@mkdir -p $(STAMPS)
	@touch $@

$(STAMPS)/packages: $(STAMPS)/venv requirements/runtime.lock
	@echo "2/4 Python packages (300 MB) …"
	@$(PIP) install --require-hashes -r requirements/runtime.lock
	@touch $@

$(STAMPS)/usher: $(STAMPS)/packages pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

$(STAMPS)/dev: $(STAMPS)/usher requirements/dev.lock requirements/stock-whisper-live.lock
	@echo "    packages for work on Usher …"
	@$(PIP) install --require-hashes -r requirements/dev.lock
	@sh tools/setup/janus.sh
	@sh tools/setup/whisper_live.sh $(VENV)/stock-whisper-live
	@sh tools/setup/voices.sh
	@touch $@

$(STAMPS)/browser: $(STAMPS)/usher
	@echo "3/4 browser …"
	@$(BIN)/python tools/setup/install.py browser --configured "$(USHER_BOTS__CHROMIUM)"
	@touch $@

$(MODELS)/faster-whisper-base/model.bin: | $(STAMPS)/usher
	@echo "4/4 speech model …"
	@$(BIN)/python tools/setup/install.py model --cache "$(MODELS)"

check-model: | $(STAMPS)/usher
	@$(BIN)/python tools/setup/install.py model --configured "$(USHER_TRANSCRIPTION__MODEL)"
