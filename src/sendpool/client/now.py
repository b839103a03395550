"""`Client`: every call waits for its answer."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, ParamSpec, Self, TypeVar

import httpx2

from sendpool.client import requests
from sendpool.client.calls import Call, Fault, Listing, Outcome, Reply, pause_before_repeat, settle
from sendpool.client.models import Operation, Page, PoolOperation
from sendpool.client.settings import Settings
from sendpool.client.waiting import Watched, pauses, too_long

P = ParamSpec("P")
T = TypeVar("T")


class _Calls:
    """A group of calls of a client."""

    def __init__(self, client: Client) -> None:
        self._client = client


class _Does(Generic[P, T]):
    """A method that makes one call."""

    def __init__(self, make: Callable[P, Call[T]]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __get__(self, calls: _Calls, owner: type[_Calls]) -> Callable[P, T]:
        """The method, bound."""

        def do(*args: P.args, **kwargs: P.kwargs) -> T:
            return calls._client.do(self._make(*args, **kwargs))

        do.__doc__ = self.__doc__
        return do


class _Lists(Generic[P, T]):
    """A method that brings every item of a list, page by page as they are asked for."""

    def __init__(self, make: Callable[P, Listing[T]]) -> None:
        self._make = make
        self.__doc__ = make.__doc__

    def __get__(self, calls: _Calls, owner: type[_Calls]) -> Callable[P, Iterator[T]]:
        """The method, bound."""

        def each(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
            return calls._client.each(self._make(*args, **kwargs))

        each.__doc__ = self.__doc__
        return each


class Messages(_Calls):
    """`client.messages`."""

    send = _Does(requests.send)
    list = _Lists(requests.list_messages)
    fetch = _Does(requests.fetch_message)
    seek = _Does(requests.seek_message)
    delete = _Does(requests.delete_message)
    cancel = _Does(requests.cancel_message)
    explain = _Does(requests.explain_message)
    receipts = _Lists(requests.list_receipts)


class Emails(_Calls):
    """`client.emails`."""

    send = _Does(requests.send_emails)
    list = _Lists(requests.list_emails)
    fetch = _Does(requests.fetch_email)
    delete = _Does(requests.delete_email)


class Operations(_Calls):
    """`client.operations`: sends of messages."""

    list = _Lists(requests.list_operations)
    fetch = _Does(requests.fetch_operation)
    errors = _Lists(requests.list_errors)
    cancel = _Does(requests.cancel_operation)
    resume = _Does(requests.resume_operation)

    def watch(self, operation_id: str, *, within: float | None = None, every: float = 1.0) -> Iterator[Operation]:
        """The operation again and again, *every* so many seconds, until it is finished.

        *within*: seconds after which it raises TookTooLong.
        """
        return self._client.watch(requests.fetch_operation(operation_id), within, every)

    def wait(self, operation_id: str, *, within: float | None = None, every: float = 1.0) -> Operation:
        """The operation once it is finished: nothing of it waits any more. Raises TookTooLong."""
        *_, last = self.watch(operation_id, within=within, every=every)
        return last


class EmailOperations(_Calls):
    """`client.email_operations`: sends of emails."""

    list = _Lists(requests.list_email_operations)
    fetch = _Does(requests.fetch_email_operation)

    def wait(self, operation_id: str, *, within: float | None = None, every: float = 1.0) -> Operation:
        """The operation once it is finished. Raises TookTooLong."""
        *_, last = self._client.watch(requests.fetch_email_operation(operation_id), within, every)
        return last


class Senders(_Calls):
    """`client.senders`."""

    list = _Lists(requests.list_senders)
    fetch = _Does(requests.fetch_sender)
    search = _Lists(requests.search_senders)
    resolve = _Does(requests.resolve_senders)


class Pools(_Calls):
    """`client.pools`."""

    create = _Does(requests.create_pool)
    list = _Lists(requests.list_pools)
    fetch = _Does(requests.fetch_pool)
    update = _Does(requests.update_pool)
    delete = _Does(requests.delete_pool)
    members = _Lists(requests.list_members)
    add = _Does(requests.add_members)
    remove = _Does(requests.remove_member)


class PoolOperations(_Calls):
    """`client.pool_operations`: changes of pools."""

    list = _Lists(requests.list_pool_operations)
    fetch = _Does(requests.fetch_pool_operation)

    def wait(self, operation_id: str, *, within: float | None = None, every: float = 1.0) -> PoolOperation:
        """The operation once it is finished. Raises TookTooLong."""
        *_, last = self._client.watch(requests.fetch_pool_operation(operation_id), within, every)
        return last


class Client:
    """The API, from code that waits. One of them serves many threads; close it, or use it in `with`."""

    def __init__(self, settings: Settings | None = None, **more: Any) -> None:
        """*more* are fields of `Settings`; without any they come from the environment. Raises ValueError."""
        self.settings = settings or Settings.of(**more)
        self._http = httpx2.Client(
            base_url=self.settings.base_url,
            auth=self.settings.credentials,
            timeout=self.settings.timeout,
            follow_redirects=True,
        )
        self.messages = Messages(self)
        self.emails = Emails(self)
        self.operations = Operations(self)
        self.email_operations = EmailOperations(self)
        self.senders = Senders(self)
        self.pools = Pools(self)
        self.pool_operations = PoolOperations(self)

    def do(self, call: Call[T]) -> T:
        """Make a call, again where that is asked for and does no harm. Raises ClientError."""
        call = self.settings.fit(call)
        tried = 0
        while True:
            outcome = self._exchange(call)
            tried += 1
            pause = pause_before_repeat(call, outcome, tried, self.settings.tries, random.random())
            if pause is None:
                return settle(call, outcome)
            time.sleep(pause)

    def each(self, listing: Listing[T]) -> Iterator[T]:
        """Every item of a list; pages are fetched as they are needed."""
        call: Call[Page[T]] | None = listing.first
        while call is not None:
            page = self.do(call)
            yield from page
            call = listing.after(page)

    def watch(self, call: Call[Watched], within: float | None, every: float) -> Iterator[Watched]:
        """What a call brings, again and again, until that is finished. Raises TookTooLong."""
        for pause in pauses(within, every, time.monotonic):
            found = self.do(call)
            yield found
            if found.is_finished:
                return
            time.sleep(pause)
        raise too_long(call, within)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _exchange(self, call: Call[Any]) -> Outcome:
        try:
            answer = self._http.request(call.method, call.target, content=call.content, headers=call.headers)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            return Fault(str(error) or type(error).__name__, left=False)
        except httpx2.TransportError as error:
            return Fault(str(error) or type(error).__name__, left=True)
        return Reply(answer.status_code, answer.headers, answer.content)
