"""A page for tests of what is known of web clients: one browser a module."""

import os
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Page, async_playwright

from usher.adapters.embedded.chromium import find_chromium


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_chromium().path, chromium_sandbox=os.geteuid() != 0
        )
        yield await browser.new_page()
        await browser.close()
