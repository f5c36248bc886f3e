# Two commands matter: `make demo` shows gatecam at work, `make test` runs the tests. Each sets up all it needs.
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo-output
# PROFILE=cpu installs builds of torch for CPUs, without CUDA's libraries, if the package index has this pair of
# them. TORCH_INDEX is the address of an index that has them, such as the one on PyTorch's page "Get started".
CPU_TORCH := 2.13.0+cpu
CPU_TORCHVISION := 0.28.0+cpu
CPU_PAIR = $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX) torch torchvision,torch==$(CPU_TORCH) torchvision==$(CPU_TORCHVISION))
unexport PYTHONDONTWRITEBYTECODE  # modules and tests are compiled once, not by every worker and program

.PHONY: demo test lint audit check docs graphs int8 weights bench bench-archive bench-cameras bench-detector bench-events bench-fleet bench-footprint bench-live bench-pages bench-plain bench-roofline soak kill-store outage clean

demo: .venv/.ready
	@mkdir -p $(DEMO)
	$(BIN)/python tests/clips.py $(DEMO)/clip.mp4
	$(BIN)/gatecam replay $(DEMO)/clip.mp4 --events $(DEMO)/events.jsonl \
		--video $(DEMO)/annotated.mp4 --sheet $(DEMO)/moments.jpg --no-blur

# A worker for each core: each starts with its share of the files in order, and takes over from one that is behind.
test: .venv/.ready
	$(BIN)/python -m pytest --numprocesses auto --dist worksteal

lint: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

audit: .venv/.ready
	$(BIN)/python tests/audit.py

check: lint test

docs: .venv/.ready
	$(BIN)/python -m tests.commands_page

# From archives of pictures, teachers and videos in DATA to weights in OUT. The same command continues a stopped run.
weights: .venv/.ready
	$(BIN)/gatecam weights $(DATA) --name $(or $(NAME),gatecam) --out $(or $(OUT),models) \
		--corrections docs/label-corrections.csv $(WORDS)

# Stores in the shipped weights the graphs by which OpenVINO computes them, if they were made without.
graphs: .venv/.ready
	$(BIN)/python -m gatecam.vision.graphs models/*.safetensors

# Adds int8 to the shipped classifier, calibrated on the training part of DATA='--data FOLDER --data FOLDER'.
int8: .venv/.ready
	$(BIN)/python -m gatecam.training.weights.quantize models/gatecam-faces.safetensors $(DATA)

bench: .venv/.ready
	$(BIN)/gatecam bench --json gatecam-bench.json --chart docs/performance.svg

bench-archive: .venv/.ready
	$(BIN)/python -m benchmarks.archive $(MINUTES)

bench-cameras: .venv/.ready
	$(BIN)/python benchmarks/cameras.py $(or $(CAMERAS),4) $(or $(SECONDS),40)

bench-detector: .venv/.ready
	$(BIN)/python benchmarks/detector.py

bench-events: .venv/.ready
	$(BIN)/python benchmarks/events.py $(WORDS)

bench-fleet: .venv/.ready
	$(BIN)/python benchmarks/fleet.py $(or $(MINUTES),10) $(WORDS)

bench-footprint: .venv/.ready
	$(BIN)/python benchmarks/footprint.py $(or $(MINUTES),10) $(WORDS)

bench-live: .venv/.ready
	$(BIN)/python benchmarks/live.py $(PASSES)

bench-pages: .venv/.ready
	$(BIN)/python benchmarks/pages.py $(PARTS)

bench-plain: .venv/.ready
	$(BIN)/python benchmarks/plain_loop.py $(CLIP) $(ROUNDS)

bench-roofline: .venv/.ready
	$(BIN)/python benchmarks/roofline.py $(ROUNDS)

soak: .venv/.ready
	$(BIN)/python tests/faults/soak.py $(or $(MINUTES),30) $(or $(EVERY_S),20)

kill-store: .venv/.ready
	$(BIN)/python tests/faults/kill_store.py $(or $(ROUNDS),50)

outage: .venv/.ready
	$(BIN)/python -m tests.faults.outage $(or $(MINUTES),10)

# about 7 GB of disk, most of it torch with its CUDA libraries: minutes, the first time
.venv/.ready: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "gatecam needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
ifeq ($(PROFILE),cpu)
	@$(BIN)/python -m pip install -qqq $(CPU_PAIR) || { echo "The package index has no builds for CPUs of both torch and"; \
		echo "torchvision, so torch comes with CUDA's libraries. For a small install, run 'make clean', then add TORCH_INDEX=ADDRESS."; }
endif
	$(BIN)/python -m pip install --editable '.[train,openvino,web,metrics,postgres,mqtt,chat,onvif,ray,dev]'
	@$(BIN)/python -c 'import cv2' || { echo "OpenCV does not load: on Debian and Ubuntu, apt-get install libgl1 libglib2.0-0"; exit 1; }
	@touch $@

clean:
	rm -rf .venv $(DEMO) test-output .mypy_cache .ruff_cache .pytest_cache
