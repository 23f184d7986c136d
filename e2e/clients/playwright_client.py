"""Playwright for Python, as its users connect to a browser that runs elsewhere."""

import json
import sys

from playwright.sync_api import sync_playwright


def main() -> None:
    """Opens a page of the site and prints what it saw."""
    endpoint, site = sys.argv[1:]
    with sync_playwright() as playwright:
        browser = playwright.chromium.connect_over_cdp(endpoint, timeout=30_000)
        page = browser.contexts[0].new_page()
        try:
            page.goto(f"{site}/")
            greeting = page.text_content("#greeting")
            print(json.dumps({"title": page.title(), "greeting": greeting}))
        finally:
            page.close()
            browser.close()


main()
