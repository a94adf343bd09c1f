"""What the library says through Python's logging, said by the node: on the console and on /rosout."""

from __future__ import annotations

import logging

from rclpy.impl.rcutils_logger import RcutilsLogger


class _ToNode(logging.Handler):
    def __init__(self, logger: RcutilsLogger) -> None:
        super().__init__(logging.INFO)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        # rclpy tells severities apart by the line of the call, so that each has its own.
        if record.levelno >= logging.ERROR:
            self._logger.error(text)
        elif record.levelno >= logging.WARNING:
            self._logger.warning(text)
        else:
            self._logger.info(text)


def forward_logs(name: str, logger: RcutilsLogger) -> None:
    """Hand what loggers of this name and below it say to a node's logger, from INFO on; to the newest node only."""
    source = logging.getLogger(name)
    for handler in [handler for handler in source.handlers if isinstance(handler, _ToNode)]:
        source.removeHandler(handler)
    source.addHandler(_ToNode(logger))
    source.setLevel(logging.INFO)
    source.propagate = False
