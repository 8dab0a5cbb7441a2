# syntax=docker/dockerfile:1
# The operator's image: Debian's Python, the packages of requirements/image.txt (all with hashes), and operator/.
# `make image-try` runs every step of it in a clean Debian root where there is no Docker.
#
# The base is pinned by digest; .github/dependabot.yml proposes newer ones. Debian's own packages are pinned to a minor
# version, because its archive keeps only the newest build of a release.
ARG BASE=debian:trixie-slim@sha256:d7e12182ce18b85b93007c1dedf31f2d29e01ccf3182cc4017c709b6259bc132

FROM ${BASE} AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates=20* \
        python3=3.13.* \
        python3-venv=3.13.* \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/clientorg
COPY requirements/image.txt /build/image.txt
# Wheels only: nothing of a package runs here, and no compiler is needed.
RUN /opt/clientorg/bin/pip install --no-cache-dir --require-hashes --only-binary=:all: --requirement /build/image.txt \
    && /opt/clientorg/bin/pip uninstall --yes pip
COPY operator /opt/clientorg/operator
# The root file system is read-only later, so that nothing can be compiled then.
RUN /opt/clientorg/bin/python -m compileall -q /opt/clientorg/lib /opt/clientorg/operator

FROM ${BASE}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="clientorg-operator" \
      org.opencontainers.image.description="Client organizations for agencies and MSPs on Kubernetes" \
      org.opencontainers.image.source="https://github.com/clientorg/clientorg-operator" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        ca-certificates=20* \
        python3=3.13.* \
        tzdata=20* \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/cache/debconf
COPY --from=build /opt/clientorg /opt/clientorg
COPY LICENSE /licenses/LICENSE
ENV PATH=/opt/clientorg/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/clientorg/operator \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
WORKDIR /tmp
# A number, so that `runAsNonRoot` can be checked before the container starts.
USER 65532:65532
EXPOSE 8080 8081
# Kubernetes has probes of its own and passes over this; `docker run` does not.
HEALTHCHECK --interval=30s --timeout=6s --start-period=120s --retries=3 CMD ["python", "-m", "handlers.health"]
CMD ["python", "-m", "handlers", "run"]
