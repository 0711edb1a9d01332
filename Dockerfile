# Everything in one image: the workflow, its locked packages, and ./run as its entry point. No network is needed to run it, the root may
# be read-only, and any user may run it. Build it in the checkout (docs/cluster.md):
#   podman build -t pharmasl .
# BASE is any Linux with Python 3.11 to 3.13 and its venv.
ARG BASE=python:3.12-slim
FROM ${BASE}
# For a build without network: PIP_NO_INDEX=1, and PIP_FIND_LINKS a folder with the wheels of requirements.lock.
ARG PIP_NO_INDEX
ARG PIP_FIND_LINKS
COPY . /opt/pharmasl
ENV PHARMASL_VENV=/opt/venv PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
# What only the test suite needs is left out, in the same layer.
RUN /opt/pharmasl/run help >/dev/null \
 && /opt/venv/bin/python -m pip uninstall -q -y axe-playwright-python bids-validator-deno deno furo mypy pandas-stubs playwright ruff sphinx \
 && chmod -R a+rX /opt \
 && /opt/pharmasl/run snakemake --version
WORKDIR /data
ENTRYPOINT ["/opt/pharmasl/run"]
