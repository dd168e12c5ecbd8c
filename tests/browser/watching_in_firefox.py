"""What is watched in a real Firefox is what the database holds, too: `make firefox`, where there is one."""

from collections.abc import Callable, Iterator

import pytest

from tests.browser import test_watching
from tests.browser.chromium import Chromium
from tests.browser.conftest import new_profile
from tests.browser.firefox import Firefox
from tests.browser.learner import Learner
from tests.browser.served import Served

LEFT_OUT = (
    "test_time_in_which_the_video_has_to_wait_is_not_watched",  # it never says that it waits for a video cut short
    "test_a_frozen_page_counts_only_what_was_played",  # only Chromium can be told to freeze a page…
    "test_without_room_on_the_disk_the_page_says_so_and_records_from_memory",  # …or to have no room
    # What the witness writes down last is lost with the tab; what the client sends is not.
    "test_a_tab_that_is_closed_while_it_plays_loses_nothing_and_its_session_is_closed",
)

globals().update(
    {name: test for name, test in vars(test_watching).items() if name[:5] == "test_" and name not in LEFT_OUT}
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    with new_profile() as profile, Firefox.running(profile) as browser:
        yield browser


@pytest.fixture
def own_learner(server: tuple[Served, str], new_lesson: Callable[..., str]) -> Iterator[Learner]:
    with new_profile() as profile, Firefox.running(profile) as browser:
        yield Learner(browser, None, *server, new_lesson(durationSecond=12))
