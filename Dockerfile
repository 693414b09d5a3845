FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/fundingbot
ENV PATH=/opt/fundingbot/bin:$PATH PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements.txt ./
RUN pip install --require-hashes -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY bot ./bot
RUN pip install --no-deps --no-build-isolation .

FROM python:3.13-slim
RUN useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin fundingbot \
    && install --directory --owner=fundingbot --mode=0750 /data
COPY --from=build /opt/fundingbot /opt/fundingbot
# Inside a container the pages are for its network; what reaches the host is the host's choice.
ENV PATH=/opt/fundingbot/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DATABASE_URL=sqlite:////data/fundingbot.db \
    HTTP_ADDR=:8080
USER fundingbot
WORKDIR /data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python", "-c", \
    "from http.client import HTTPConnection as C; c = C('127.0.0.1', 8080, timeout=3); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["fundingbot"]
CMD ["run"]
