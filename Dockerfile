# gatecam in a container, without root; docs/kiosk.md says how to build and run it.
#
# VARIANT=cuda, the default: torch with its CUDA libraries, which also runs without a GPU.
# VARIANT=cpu: torch for CPUs, for a mini-PC, 4.3 GB smaller; TORCH_INDEX is the address of the package index that holds
# torch's builds for CPUs, as its page "Get started" tells it.
ARG VARIANT=cuda
ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS venv
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PATH=/opt/gatecam/bin:$PATH
RUN python -m venv /opt/gatecam

FROM venv AS torch-cuda
RUN pip install torch torchvision

FROM venv AS torch-cpu
ARG TORCH_INDEX=""
RUN test -n "$TORCH_INDEX" || { echo "VARIANT=cpu needs --build-arg TORCH_INDEX=ADDRESS"; exit 1; } \
    && pip install --index-url "$TORCH_INDEX" torch torchvision

FROM torch-${VARIANT} AS build
COPY pyproject.toml README.md LICENSE /src/
COPY models /src/models
COPY gatecam /src/gatecam
RUN pip install "/src[openvino,web,metrics,mqtt,postgres,chat,onvif]"

FROM python:${PYTHON}-slim-bookworm
# libgl1 and libglib2.0-0 are what OpenCV's wheel leaves to the system, alsa-utils plays the alerts.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends alsa-utils libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 900 --user-group --groups audio,video --home-dir /var/lib/gatecam gatecam \
    && install --directory --owner=gatecam --group=gatecam --mode=0700 \
        /run/gatecam /var/lib/gatecam /var/log/gatecam
COPY --from=build /opt/gatecam /opt/gatecam
COPY config.yaml /etc/gatecam/config.yaml
# RUNTIME_DIRECTORY tells gatecam that nobody sits in front of it: it waits for cameras, and starts too often
# are held back.
ENV PATH=/opt/gatecam/bin:$PATH RUNTIME_DIRECTORY=/run/gatecam STATE_DIRECTORY=/var/lib/gatecam PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1
USER gatecam
WORKDIR /var/lib/gatecam
VOLUME ["/var/lib/gatecam", "/var/log/gatecam"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=15s --start-period=120s CMD gatecam status || exit 1
ENTRYPOINT ["gatecam"]
CMD ["run", "--headless", "--config", "/etc/gatecam/config.yaml"]
