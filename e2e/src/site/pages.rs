//! The pages that every site has.

use super::Shared;

const HTML: &str = "text/html; charset=utf-8";

const HOME: &str = "<!doctype html><title>home</title><h1 id=greeting>Hello</h1>";

const COOKIES: &str = "<!doctype html><title>cookies</title>
<script>document.cookie = 'by_script=2; path=/';</script>";

const DOWNLOAD: &str = "<!doctype html><title>download</title>
<a id=link href=/download/file>the file</a>";

/// The content of the file offered for download.
pub(super) const FILE: &str = "seventeen bytes\n!";

const UPLOAD: &str = "<!doctype html><title>upload</title>
<form method=post action=/echo enctype=multipart/form-data>
<input type=file name=file id=file><button id=send>send</button></form>";

const WORKER_PAGE: &str = "<!doctype html><title>worker</title><script>
window.answered = (async () => {
  await navigator.serviceWorker.register('/worker/script.js', { scope: '/worker/' });
  await navigator.serviceWorker.ready;
  if (!navigator.serviceWorker.controller) {
    await new Promise(r => navigator.serviceWorker.addEventListener('controllerchange', r));
  }
  return (await fetch('/worker/made-up')).text();
})();
</script>";

const WORKER: &str = "self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', event => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', event => {
  if (event.request.url.endsWith('/worker/made-up')) {
    event.respondWith(new Response('from the worker'));
  }
});";

const POPUP: &str = "<!doctype html><title>opener</title>
<button id=open onclick=\"window.open('/frame', 'popup', 'width=300,height=200')\">open</button>";

const FRAMES: &str = "<!doctype html><title>frames</title>
<iframe name=outer src=/frames/middle></iframe>";

const MIDDLE: &str = "<!doctype html><title>middle</title>
<iframe name=inner src=/frame></iframe>";

const FRAME: &str = "<!doctype html><title>frame</title><p id=text>inside</p>";

/// Adds them.
pub(super) fn add_all(shared: &Shared) {
    shared.add("/", HTML, &[], HOME);
    shared.add(
        "/cookies",
        HTML,
        &[("set-cookie", "by_server=1; Path=/; HttpOnly")],
        COOKIES,
    );
    shared.add("/download", HTML, &[], DOWNLOAD);
    let attachment = (
        "content-disposition",
        "attachment; filename=\"the file.txt\"",
    );
    shared.add(
        "/download/file",
        "application/octet-stream",
        &[attachment],
        FILE,
    );
    shared.add("/upload", HTML, &[], UPLOAD);
    shared.add("/worker/", HTML, &[], WORKER_PAGE);
    shared.add("/worker/script.js", "text/javascript", &[], WORKER);
    shared.add("/popup", HTML, &[], POPUP);
    shared.add("/frames", HTML, &[], FRAMES);
    shared.add("/frames/middle", HTML, &[], MIDDLE);
    shared.add("/frame", HTML, &[], FRAME);
}
