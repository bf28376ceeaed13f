# docker build -t reage .
# docker run --rm -v "$PWD:/photos" --user "$(id -u):$(id -g)" reage age me.jpg --to 70
FROM python:3.13-slim
RUN --mount=type=bind,target=/source,rw \
    pip install --no-cache-dir --root-user-action=ignore --constraint /source/constraints.txt /source
RUN useradd --create-home reage
USER reage
WORKDIR /photos
ENTRYPOINT ["reage"]
CMD ["--help"]
