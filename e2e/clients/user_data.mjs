// What a site keeps in the browser: written by one run of this program, read back by a later one,
// of the same profile in another Chromium.

import { chromium } from 'playwright-core';

import { main } from './report.mjs';

/** Opens the address in the browser's own context, which is the one that is kept. */
async function onSite(endpoint, address, work) {
  const browser = await chromium.connectOverCDP(endpoint, { timeout: 60_000 });
  const page = await browser.contexts()[0].newPage();
  try {
    await page.goto(address);
    return await page.evaluate(work.script, work.value);
  } finally {
    await page.close();
    await browser.close();
  }
}

/* The functions below run in the page. */

async function write(value) {
  document.cookie = `kept=${value}; max-age=86400; path=/`;
  localStorage.setItem('kept', value);
  const database = await new Promise((resolve, reject) => {
    const request = indexedDB.open('kept', 1);
    request.onupgradeneeded = () => request.result.createObjectStore('kept');
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  await new Promise((resolve, reject) => {
    // Strict: it is told done when it is on disk.
    const change = database.transaction('kept', 'readwrite', { durability: 'strict' });
    change.objectStore('kept').put(value, 'kept');
    change.oncomplete = resolve;
    change.onerror = () => reject(change.error);
  });
  database.close();
}

async function read() {
  const database = await new Promise((resolve, reject) => {
    const request = indexedDB.open('kept', 1);
    request.onupgradeneeded = () => request.result.createObjectStore('kept');
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const indexed = await new Promise((resolve, reject) => {
    const request = database.transaction('kept').objectStore('kept').get('kept');
    request.onsuccess = () => resolve(request.result ?? null);
    request.onerror = () => reject(request.error);
  });
  database.close();
  const cookie = document.cookie.split('; ').find(pair => pair.startsWith('kept='));
  return { cookie: cookie?.slice(5) ?? null, local: localStorage.getItem('kept'), indexed };
}

await main({
  /** Keeps the value in a cookie, the local storage and a database. */
  async write(endpoint, address, value) {
    return onSite(endpoint, address, { script: write, value });
  },

  /** What is kept in the three. */
  async read(endpoint, address) {
    return onSite(endpoint, address, { script: read });
  },
});
