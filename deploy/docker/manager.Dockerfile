# The Bot Manager: `usher serve`, `usher migrate`.
#
#     docker build -f deploy/docker/manager.Dockerfile -t usher-manager .
#
# Packages and code are layers of their own: a change of the code ships some hundred kilobytes.
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BASE_IMAGE} AS tools
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /tools \
    && python3 -m venv --without-pip /opt/usher

FROM tools AS packages
COPY requirements/manager.lock /build/
RUN /tools/bin/pip --python /opt/usher/bin/python install --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --require-hashes -r /build/manager.lock

FROM tools AS code
COPY requirements/build.lock /build/
RUN /tools/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /build/build.lock
COPY pyproject.toml README.md LICENSE /build/
COPY src /build/src
RUN /tools/bin/pip wheel --disable-pip-version-check --no-deps --no-build-isolation -w /build/wheel /build \
    && /tools/bin/pip --python /opt/usher/bin/python install --disable-pip-version-check --no-deps --no-index \
        --prefix /code /build/wheel/*.whl

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="usher-manager" \
      org.opencontainers.image.description="Bot Manager of Usher: REST API, state, launchers, collector" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home --shell /usr/sbin/nologin usher \
    && install --directory --owner=usher --group=usher --mode=0700 /var/lib/usher/recordings
COPY --from=packages /opt/usher /opt/usher
COPY --from=code /code /opt/usher
COPY deploy/docker/healthy.py /opt/usher/bin/usher-healthy
ENV PATH=/opt/usher/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONUNBUFFERED=1 \
    USHER_API__HOST=0.0.0.0 \
    USHER_DATA_DIR=/tmp/usher
USER 1000:1000
WORKDIR /home/usher
EXPOSE 8056 8057
STOPSIGNAL SIGTERM
# Only where the role `api` runs; elsewhere switch it off (`healthcheck: {disable: true}`, `--no-healthcheck`).
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python3", "/opt/usher/bin/usher-healthy", "API", "8056"]
ENTRYPOINT ["usher"]
CMD ["serve"]
