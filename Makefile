# make demo    draw a data set, train on it, export, verify, and serve the capture page
# make test    the checks and every test, in a real browser too
# make help    all of it
#
# Python 3.11 or later and make are all that must be there; everything else goes into .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

# make demo DATA=path/to/photos trains on those instead of drawings.
DATA    ?= phantom
RECIPE  ?= demo
WEIGHTS ?=
PORT    ?= 8501
NAME    := $(notdir $(patsubst %/,%,$(basename $(DATA))))
RUN     := runs/$(NAME)
MODEL   := models/$(NAME)/model.onnx

.PHONY: help demo serve test check unit browser format clean
.DELETE_ON_ERROR:

help:  ## this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12
	@echo
	@echo "demo takes DATA=$(DATA) RECIPE=$(RECIPE) WEIGHTS=$(WEIGHTS) PORT=$(PORT)"

demo: $(MODEL)  ## train, export, verify and serve on http://localhost:8501
	@echo "4/4  serve $(MODEL) on http://localhost:$(PORT)"
	@$(BIN)/python -m capture_app $(MODEL) --port $(PORT)

$(MODEL): $(RUN)/card.json
	@echo "3/4  export to ONNX and verify against the checkpoint"
	@$(BIN)/python -m export $(RUN) --out $(@D)

# Not a file's rule in make's sense: a run that is there is kept, whatever is newer than it.
$(RUN)/card.json: | $(READY)
	@echo "2/4  train recipe '$(RECIPE)' on $(DATA)"
	@if [ -f $(RUN)/state.pt ]; then \
		$(BIN)/python -m training.fit --resume $(RUN); \
	else \
		$(BIN)/python -m training.fit --recipe $(RECIPE) --data $(DATA) --out $(RUN) \
			$(if $(WEIGHTS),--weights $(WEIGHTS)); \
	fi

# The environment: pinned versions, made again when the pins or the requirements change.
$(READY): pyproject.toml constraints.txt
	@echo "1/4  make the environment in $(VENV) (once; several GB with PyTorch)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, this is %d.%d" % sys.version_info[:2])'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

test: check unit  ## everything that must pass, in a browser too

check: $(READY)  ## style, types and the import arrows
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A module at a time in each of up to four processes; pytest alone runs them one by one.
unit: $(READY) browser
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope

# A browser for the tests: the one that is there, or Debian's. Without one its tests skip; under CI they fail.
browser:
	@if command -v chromium chromium-browser google-chrome >/dev/null; then \
		true; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "install chromium for the browser tests"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
			chromium fonts-dejavu-core >/dev/null || echo "chromium could not be installed"; \
	else \
		echo "no browser here and no right to install one: its tests will skip"; \
	fi

format: $(READY)  ## put the code into its format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:  ## remove the demo's run and model (data sets and the environment stay)
	rm -rf runs/$(NAME) models/$(NAME)
