"""Executors that run in the caller's thread, so that a simulation is the same every time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class Immediate(Executor):
    """Runs each task as it is submitted. What is no Exception passes through, as death does."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        _run(future, fn, args, kwargs)
        return future

    def some(self, tasks: int) -> None:
        """Nothing is ever left to run."""


class Deferred(Executor):
    """Keeps tasks until `some` runs them, or somebody waits for one: a slow store."""

    def __init__(self) -> None:
        self._tasks: deque[tuple[_Waited, Callable[..., Any], Any, Any]] = deque()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future = _Waited(self)
        self._tasks.append((future, fn, args, kwargs))
        return future

    def some(self, tasks: int) -> None:
        """Runs so many tasks, in the order in which they were submitted."""
        for _ in range(min(tasks, len(self._tasks))):
            _run(*self._tasks.popleft())


class _Waited(Future[Any]):
    """Whoever waits for it makes the executor come to it."""

    def __init__(self, executor: Deferred) -> None:
        super().__init__()
        self._executor = executor

    def result(self, timeout: float | None = None) -> Any:
        self._come()
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._come()
        return super().exception(timeout)

    def _come(self) -> None:
        while not self.done():
            self._executor.some(1)


def _run(future: Future[Any], fn: Callable[..., Any], args: Any, kwargs: Any) -> None:
    try:
        future.set_result(fn(*args, **kwargs))
    except Exception as error:  # noqa: BLE001 - an executor hands on whatever its task raised
        future.set_exception(error)
