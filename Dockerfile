# Build: a wheel of the project, and an environment with exactly the locked packages.
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/ requirements/
RUN pip install --require-hashes -r requirements/build.lock \
 && python -m venv /opt/reelgate \
 && /opt/reelgate/bin/pip install --require-hashes -r requirements/runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY app/ app/
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/reelgate/bin/pip install --no-deps /wheels/*.whl

# Run: that environment and one unprivileged user. Only the volume and /tmp are written to.
FROM python:3.13-slim
LABEL org.opencontainers.image.title="Reelgate" \
      org.opencontainers.image.description="A self-hosted gateway for asynchronous video generation" \
      org.opencontainers.image.licenses="Apache-2.0"
# The numeric id lets an orchestrator see that the user is not root; the volume takes the directory's owner.
RUN groupadd --gid 10001 reelgate \
 && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin reelgate \
 && install -d -m 0700 -o 10001 -g 10001 /var/lib/reelgate
COPY --from=build /opt/reelgate /opt/reelgate
ENV PATH=/opt/reelgate/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    REELGATE_DATA_DIR=/var/lib/reelgate \
    REELGATE_HOST=0.0.0.0 \
    REELGATE_PORT=8080
USER 10001:10001
WORKDIR /var/lib/reelgate
VOLUME /var/lib/reelgate
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
  CMD ["reelgate", "doctor", "--probe"]
ENTRYPOINT ["reelgate"]
CMD ["serve"]
