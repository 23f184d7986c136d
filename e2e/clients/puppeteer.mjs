// Puppeteer, as its users connect to a browser that runs elsewhere.

import puppeteer from 'puppeteer-core';

import { equal, main } from './report.mjs';

async function visit(options, site) {
  const browser = await puppeteer.connect({ ...options, defaultViewport: null });
  const page = await browser.newPage();
  try {
    await page.goto(`${site}/`);
    equal(await page.$eval('#greeting', element => element.textContent), 'Hello', 'greeting');
    return { title: await page.title(), version: await browser.version() };
  } finally {
    await page.close();
    await browser.disconnect();
  }
}

await main({
  /** By the HTTP address, from which it asks for the WebSocket's. */
  url: (endpoint, site) => visit({ browserURL: endpoint }, site),
  /** By the WebSocket's address. */
  ws: (endpoint, site) => visit({ browserWSEndpoint: endpoint }, site),
});
