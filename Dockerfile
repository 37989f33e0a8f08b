# A small image: the program with the driver for Postgres, run by a user without rights.
FROM python:3.12-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --wheel-dir /wheels '.[postgres]'

FROM python:3.12-slim-bookworm
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir --no-index --find-links /wheels 'chenyu-etl[postgres]' \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/chenyu-etl chenyu \
    && chmod 700 /var/lib/chenyu-etl
USER chenyu
WORKDIR /var/lib/chenyu-etl
ENV STATE_DIRECTORY=/var/lib/chenyu-etl CHENYU_LISTEN=0.0.0.0:9469
VOLUME /var/lib/chenyu-etl
EXPOSE 9469
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s CMD ["python", "-m", "etl.service.probe"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["chenyu-etl"]
CMD ["run"]
