# make demo [SOURCE=video, bag, camera number]    the recogniser at work; without SOURCE on footage that it draws itself
# make test                                       everything that must hold: lint and all tests, on all cores
# make lint                                       ruff, mypy and import-linter only
# make images                                     draws the pictures of docs/images anew; needs Chromium
# make clean                                      removes what builds and tools left behind, except .venv
#
# The first run makes .venv (delete it to start afresh). It needs Python 3.10 or newer, a C++ compiler and make. Another
# Python: make PYTHON=python3.12; another PyTorch: make TORCH='torch --index-url URL' (pytorch.org names the URL of each build).
PYTHON ?= python3
TORCH ?= torch==2.13.0
python := .venv/bin/python
ready := .venv/.ready
references := .venv/.references

# The ROS 2 wheels in .venv are an ament prefix. A sourced ROS 2 would mix another release's libraries into it, and the
# wheels' start-up hook would believe that it has run when Python was started from another environment.
export AMENT_PREFIX_PATH := $(CURDIR)/.venv
unexport _ROS_WHEELS_BOOTSTRAP_COMPLETE
ifdef ROS_DISTRO
unexport ROS_DISTRO CMAKE_PREFIX_PATH LD_LIBRARY_PATH PYTHONPATH
endif

.PHONY: demo test lint images clean

demo: $(ready)
	@$(python) -m fluxformer_ros.tools.demo $(if $(SOURCE),'$(SOURCE)')

# Lint runs beside the tests and reports after them. Tests that play images in real time run last and alone: busy cores
# would lose images.
test: $(ready) $(references)
	@$(MAKE) --no-print-directory lint >.venv/lint.log 2>&1 & lint=$$!; \
	$(python) -m pytest -m 'not realtime' --numprocesses auto --dist loadfile --no-loadscope-reorder; tests=$$?; \
	wait $$lint; linted=$$?; \
	$(python) -m pytest -m realtime; timed=$$?; \
	cat .venv/lint.log; exit $$((tests || timed || linted))

lint: $(ready)
	$(python) -m ruff check
	$(python) -m mypy
	.venv/bin/lint-imports

images: $(ready)
	PYTHONPATH=. $(python) docs/make_images.py

clean:
	rm -rf build messages/build *.egg-info messages/*.egg-info
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +

# Python files are used where they lie; the set-up is repeated when what is installed or compiled changes.
$(ready): pyproject.toml setup.py CMakeLists.txt package.xml messages/pyproject.toml \
		$(wildcard action/* cmake/* config/* launch/* messages/*.py msg/* srv/*)
	@$(PYTHON) messages/preflight.py
	@test -x .venv/bin/pip || $(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo 'fluxformer: this Python cannot make virtual environments (Debian, Ubuntu: apt install python3-venv)' >&2; exit 1; }
	test -x .venv/bin/pip || $(PYTHON) -m venv .venv
	$(python) -c 'import torch' 2>/dev/null || $(python) -m pip install $(TORCH)
	$(python) -m pip install --editable '.[ros,test]'
	@touch $@

# Independent implementations that tests compare with. They stand apart, without what they require: torchvision requires
# the PyTorch with CUDA, 5 GB. Where they cannot be had, tests compare with the outputs that test/references.npz keeps.
$(references): $(ready)
	@$(python) -m pip install --quiet --no-deps --upgrade --target .venv/references torchvision==0.28.0 ptlflow==0.4.2 && \
		touch $@ || echo 'fluxformer: torchvision and ptlflow cannot be installed; tests use their kept outputs'
