# One image for every service: `docker run modelux run proxy`. Builds from the lock, runs as an ordinary user.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md ./
RUN python -m venv /opt/modelux && /opt/modelux/bin/pip install --no-cache-dir --require-hashes --requirement requirements.lock
COPY libs libs
COPY services services
COPY cli cli
COPY packaging packaging
RUN /opt/modelux/bin/pip install --no-cache-dir --no-build-isolation --no-deps .
RUN apt-get update && apt-get install --no-install-recommends --yes gcc libc6-dev \
 && /opt/modelux/bin/python packaging/compile.py /tmp/compiled \
 && cp -r /tmp/compiled/. "$(/opt/modelux/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home modelux
COPY --from=build /opt/modelux /opt/modelux
USER 10001
ENV PATH=/opt/modelux/bin:$PATH PYTHONUNBUFFERED=1
EXPOSE 8080 8081 9000
ENTRYPOINT ["modelux"]
CMD ["--help"]
