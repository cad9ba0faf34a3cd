# Fentan as an image, for docker-compose.yml. The ledger is in the volume /data.
FROM python:3.12-slim

WORKDIR /fentan
COPY requirements requirements
RUN pip install --no-cache-dir --require-hashes -r requirements/build.txt \
    && pip install --no-cache-dir --require-hashes --no-build-isolation --use-pep517 -r requirements/runtime.txt
COPY . .
RUN pip install --no-cache-dir --no-build-isolation --no-deps --no-index . \
    && useradd --system fentan && mkdir /data && chown fentan /data

USER fentan
ENV FENTAN_HOME=/data
VOLUME /data
ENTRYPOINT ["fentan"]
