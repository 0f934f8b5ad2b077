# driftline as an image: what requirements.lock pins for the service itself, none of the extras, as a user without rights.
# The configuration comes from outside: docker-compose.yml shows how.

FROM python:3.11-slim AS build
WORKDIR /build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.lock pyproject.toml ./
# The lock holds hashes for everything, and pins more than the service needs. So it is used as a constraint, which takes
# a recent pip: the one that the lock pins. The tools that build stay behind, in an environment of their own.
RUN sed -n '/^pip==/,/# via/p' requirements.lock > pip.txt \
 && python -m venv /opt/tools \
 && /opt/tools/bin/pip install --require-hashes --requirement pip.txt \
 && /opt/tools/bin/pip install --require-hashes --constraint requirements.lock setuptools wheel
RUN /opt/tools/bin/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" > needed.txt \
 && python -m venv --without-pip /opt/driftline \
 && /opt/tools/bin/pip --python /opt/driftline/bin/python install --require-hashes --constraint requirements.lock --requirement needed.txt
COPY . .
RUN /opt/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir wheels . \
 && /opt/tools/bin/pip --python /opt/driftline/bin/python install --no-deps --no-index wheels/*.whl

FROM python:3.11-slim
# The folder is made here so that a new volume, mounted on it, belongs to this user.
RUN useradd --uid 10001 --home-dir /var/lib/driftline --create-home --shell /usr/sbin/nologin driftline
COPY --from=build /opt/driftline /opt/driftline
ENV PATH=/opt/driftline/bin:$PATH
USER 10001:10001
WORKDIR /var/lib/driftline
ENTRYPOINT ["driftline"]
CMD ["--help"]
