# The worker as an image: `docker build --tag skillrunner .`
# docs/worker-install.md tells how it is run, and what it means to hand it an engine's socket.

# Pin what you deploy: `docker buildx imagetools inspect python:3.13-slim-bookworm` prints the digest; write
# python:3.13-slim-bookworm@sha256:... here, or give it with --build-arg BASE=...
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
# pip reads these itself: a mirror of PyPI, where one is used.
ARG PIP_INDEX_URL
ARG PIP_TRUSTED_HOST
WORKDIR /src
RUN python3 -m venv /opt/skillrunner
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY runner runner
RUN /opt/skillrunner/bin/pip install --no-cache-dir --constraint constraints.txt . \
 && /opt/skillrunner/bin/pip uninstall --quiet --yes pip setuptools

FROM ${BASE}
LABEL org.opencontainers.image.title="skillrunner worker" \
      org.opencontainers.image.licenses="Apache-2.0"
# A base that has git already, such as one of your own, needs no package manager.
# hadolint ignore=DL3008
RUN command -v git >/dev/null \
 || { apt-get update && apt-get install --yes --no-install-recommends ca-certificates git && rm -rf /var/lib/apt/lists/*; }
# The number is fixed, so that folders and secrets of the host can be made to belong to it.
RUN echo "skillrunner:x:10001:10001::/var/lib/skillrunner:/usr/sbin/nologin" >>/etc/passwd \
 && echo "skillrunner:x:10001:" >>/etc/group \
 && mkdir -p /etc/skillrunner /var/lib/skillrunner \
 && chown 10001:10001 /var/lib/skillrunner \
 && chmod 700 /var/lib/skillrunner
COPY --from=build /opt/skillrunner /opt/skillrunner
ENV PATH=/opt/skillrunner/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    SKILLRUNNER_STATE_DIR=/var/lib/skillrunner
USER 10001:10001
# skillrunner.yaml is looked for here, by the worker and by every other command.
WORKDIR /etc/skillrunner
VOLUME /var/lib/skillrunner
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 \
  CMD ["skillrunner", "worker", "status", "--healthy"]
ENTRYPOINT ["skillrunner", "worker"]
