# gatecam in a container, without root: docs/kiosk.md says how to build and run it.
#
# For a machine without a GPU, give the package index of torch's CPU builds as TORCH_INDEX, which makes the
# image some 4 GB smaller; without it the newest pair with CUDA libraries is taken, for which the machine
# needs NVIDIA's container toolkit.
ARG PYTHON=3.12
FROM python:${PYTHON}-slim AS build
ARG TORCH_INDEX=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/gatecam
COPY pyproject.toml README.md LICENSE /src/
COPY models /src/models
COPY gatecam /src/gatecam
RUN if [ -n "$TORCH_INDEX" ]; then \
        /opt/gatecam/bin/pip install --index-url "$TORCH_INDEX" torch torchvision; \
    fi \
    && /opt/gatecam/bin/pip install /src

FROM python:${PYTHON}-slim
# libgl1 and libglib2.0-0 are what OpenCV's wheel leaves to the system, alsa-utils plays the alerts.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 alsa-utils \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 900 --groups video,audio --home-dir /var/lib/gatecam --create-home gatecam \
    && install --directory --owner gatecam --mode 0700 /run/gatecam \
    && install --directory /etc/gatecam
COPY --from=build /opt/gatecam /opt/gatecam
COPY config.yaml /etc/gatecam/config.yaml
# RUNTIME_DIRECTORY tells gatecam that nobody sits in front of it: it waits for cameras for ever.
ENV PATH=/opt/gatecam/bin:$PATH RUNTIME_DIRECTORY=/run/gatecam PYTHONUNBUFFERED=1
USER gatecam
WORKDIR /var/lib/gatecam
VOLUME /var/lib/gatecam
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["gatecam", "status"]
ENTRYPOINT ["gatecam"]
CMD ["run", "--headless", "--config", "/etc/gatecam/config.yaml"]
