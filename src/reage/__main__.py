"""The `reage` command, also as `python -m reage`; it sets what libraries read as they are loaded."""

import os


def main() -> None:
    """The `reage` command."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's products are small: threads would wait, not compute
    os.environ.setdefault("OPENCV_LOG_LEVEL", "OFF")  # on damaged files, which become one sentence
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin while they wait take a busy computer's time
    from reage.cli import main as run

    run()


if __name__ == "__main__":
    main()
