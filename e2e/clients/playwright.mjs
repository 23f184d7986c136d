// Playwright, as its users connect to a browser that runs elsewhere.

import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { chromium } from 'playwright-core';

import { equal, main } from './report.mjs';

/** Connects, lets the scenario work in a page of its own, and closes what it opened. */
async function inPage(endpoint, work, options = {}) {
  const browser = await chromium.connectOverCDP(endpoint, { timeout: 30_000, ...options });
  const page = await browser.contexts()[0].newPage();
  try {
    return await work(page, browser);
  } finally {
    await page.close();
    await browser.close();
  }
}

await main({
  /** Opens a page of the site. */
  async visit(endpoint, site) {
    return inPage(endpoint, async (page, browser) => {
      await page.goto(`${site}/`);
      equal(await page.textContent('#greeting'), 'Hello', 'greeting');
      return { title: await page.title(), version: browser.version() };
    });
  },

  /** Cookies that the server and a script set, read back and sent. */
  async cookies(endpoint, site) {
    return inPage(endpoint, async page => {
      await page.goto(`${site}/cookies`);
      const cookies = await page.context().cookies(site);
      const names = cookies.map(cookie => `${cookie.name}=${cookie.value}`).sort();
      equal(names, ['by_script=2', 'by_server=1'], 'cookies');
      await page.goto(`${site}/echo`);
      const text = await page.textContent('body');
      return { names, sent: text.split('cookie: ')[1] };
    });
  },

  /** A file taken from the site. */
  async download(endpoint, site) {
    const artifactsDir = await mkdtemp(join(tmpdir(), 'browserd-e2e-download-'));
    // The browser may be another user, and writes there itself.
    await chmod(artifactsDir, 0o777);
    try {
      return await inPage(endpoint, async page => {
        await page.goto(`${site}/download`);
        const [download] = await Promise.all([
          page.waitForEvent('download'),
          page.click('#link'),
        ]);
        const content = await readFile(await download.path(), 'utf8');
        return { name: download.suggestedFilename(), content };
      }, { artifactsDir });
    } finally {
      await rm(artifactsDir, { recursive: true });
    }
  },

  /** A file given to the site: one small, one of 2 MiB. */
  async upload(endpoint, site) {
    const folder = await mkdtemp(join(tmpdir(), 'browserd-e2e-upload-'));
    try {
      return await inPage(endpoint, async page => {
        const echoed = [];
        for (const size of [3, 2 * 1024 * 1024]) {
          const file = join(folder, `${size}.bin`);
          await writeFile(file, Buffer.alloc(size, 'u'));
          await page.goto(`${site}/upload`);
          await page.setInputFiles('#file', file);
          await page.click('#send');
          await page.waitForURL('**/echo');
          const text = await page.textContent('body');
          echoed.push(Number.parseInt(text, 10));
        }
        return { echoed };
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  },

  /** A service worker that answers for its scope. */
  async worker(endpoint, site) {
    return inPage(endpoint, async page => {
      const started = page.context().waitForEvent('serviceworker');
      await page.goto(`${site}/worker/`);
      const text = await page.evaluate(() => window.answered);
      const worker = await started;
      const scope = await worker.evaluate(() => self.registration.scope);
      await page.evaluate(async () => {
        const all = await navigator.serviceWorker.getRegistrations();
        await Promise.all(all.map(registration => registration.unregister()));
      });
      return { text, scope, url: worker.url() };
    });
  },

  /** A window that a page opens. */
  async popup(endpoint, site) {
    return inPage(endpoint, async page => {
      await page.goto(`${site}/popup`);
      const [popup] = await Promise.all([page.waitForEvent('popup'), page.click('#open')]);
      await popup.waitForLoadState();
      const seen = { url: popup.url(), text: await popup.textContent('#text') };
      await popup.close();
      return seen;
    });
  },

  /** Frames in frames. */
  async frames(endpoint, site) {
    return inPage(endpoint, async page => {
      await page.goto(`${site}/frames`);
      const inner = page.frameLocator('[name=outer]').frameLocator('[name=inner]');
      return { text: await inner.locator('#text').textContent(), count: page.frames().length };
    });
  },

  /** Two connections at once, each with a page that the other one leaves alone. */
  async together(endpoint, site) {
    const work = async name => inPage(endpoint, async page => {
      await page.goto(`${site}/`);
      const seen = [];
      for (let turn = 0; turn < 50; turn += 1) {
        seen.push(await page.evaluate(value => (window.name = value), `${name}-${turn}`));
      }
      return seen.every((value, turn) => value === `${name}-${turn}`);
    });
    return { undisturbed: await Promise.all([work('one'), work('two')]) };
  },
});
