# The bot: Chromium and what drives it. A launcher starts one container of it for each attempt.
#
#     docker build -f deploy/docker/bot.Dockerfile -t usher-bot .
#
# The image is made for a read-only root: it writes to /tmp, to its home folder and to /var/lib/usher-bot (its last
# words) alone. The layers go from what changes least, the browser, to what changes most, the code.
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BASE_IMAGE} AS tools
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /tools \
    && python3 -m venv --without-pip /opt/usher

FROM tools AS packages
COPY requirements/bot.lock /build/
RUN /tools/bin/pip --python /opt/usher/bin/python install --no-cache-dir --disable-pip-version-check \
        --only-binary :all: --require-hashes -r /build/bot.lock

FROM tools AS code
COPY requirements/build.lock /build/
RUN /tools/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /build/build.lock
COPY pyproject.toml README.md LICENSE /build/
COPY src /build/src
RUN /tools/bin/pip wheel --disable-pip-version-check --no-deps --no-build-isolation -w /build/wheel /build \
    && /tools/bin/pip --python /opt/usher/bin/python install --disable-pip-version-check --no-deps --no-index \
        --prefix /code /build/wheel/*.whl

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="usher-bot" \
      org.opencontainers.image.description="Bot of Usher: joins a meeting with Chromium and listens" \
      org.opencontainers.image.licenses="Apache-2.0"
# libatomic1: Playwright brings a Node.js that is linked with it. xvfb: a display, for bots that are not headless.
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        chromium fonts-dejavu-core fonts-noto-color-emoji libatomic1 python3 tini xvfb \
    && apt-get clean \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home --shell /usr/sbin/nologin bot \
    && install -d -o 1000 -g 1000 -m 700 /var/lib/usher-bot
COPY --from=packages /opt/usher /opt/usher
COPY --from=code /code /opt/usher
COPY deploy/docker/usher-bot.sh /opt/usher/bin/usher-bot
ENV PATH=/opt/usher/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/home/bot \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1
USER 1000:1000
WORKDIR /home/bot
STOPSIGNAL SIGTERM
# An init of its own, for engines that bring none: Chromium leaves children behind.
ENTRYPOINT ["tini", "-s", "--"]
CMD ["sh", "/opt/usher/bin/usher-bot"]
