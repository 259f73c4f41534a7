# One file, two images: `cpu` (default) and `gpu`.
FROM python:3.11-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 NUMBA_CACHE_DIR=/opt/wardbeat/numba
WORKDIR /opt/wardbeat/src
RUN useradd --system --uid 10001 --home-dir /opt/wardbeat wardbeat && mkdir -p /opt/wardbeat/data /opt/wardbeat/numba
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY ecg ecg
COPY windowing windowing
COPY models models
COPY alarms alarms
COPY stream stream
COPY api api
COPY wardbeat wardbeat
COPY weights weights
RUN pip install -c constraints.txt -e . && chown -R wardbeat /opt/wardbeat/data /opt/wardbeat/numba
USER wardbeat
# Compile the kernels into the image: a worker that is started in an emergency must not compile first.
RUN python -c 'from stream.bed import warm_up; from wardbeat.settings import Settings; warm_up(Settings().beds())'
ENV WARDBEAT_DATA_DIR=/opt/wardbeat/data
ENTRYPOINT ["python", "-m", "wardbeat"]
CMD ["--help"]

FROM base AS gpu
USER root
# Torch brings CUDA in its wheels. The extra `kernels` is built with nvcc, which a slim image lacks.
RUN pip install -c constraints.txt -e '.[gpu]'
USER wardbeat

FROM base AS cpu
