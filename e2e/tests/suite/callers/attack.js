// What a page can try against an address that it may not read, each way at a path of its own.
//
// `attack(ways)` takes a list of [way, url] and resolves to a list of what each brought: the
// texts 'read' and 'open' mean that the page got something out of it.
(ways => {
  // Chromium itself puts off a WebSocket for seconds once several have failed.
  const LIMIT = 20000;

  const within = (promise, otherwise) => Promise.race([
    promise,
    new Promise(resolve => setTimeout(() => resolve(otherwise), LIMIT)),
  ]);

  const fetched = (url, options) => fetch(url, options).then(
    async response => {
      if (response.type === 'opaque') return 'sent';
      return response.ok ? `read ${await response.text()}` : `read ${response.status}`;
    },
    error => `refused: ${error.message}`,
  );

  const element = (name, attributes) => new Promise(resolve => {
    const made = document.createElement(name);
    made.onload = () => resolve(name === 'iframe' ? 'sent' : 'read');
    made.onerror = () => resolve('refused');
    Object.assign(made, attributes);
    document.documentElement.append(made);
  });

  // A form's answer goes into a frame, which the page cannot look into.
  const submitted = (url, method, enctype) => new Promise(resolve => {
    const frame = document.createElement('iframe');
    frame.name = `frame${Math.random()}`;
    document.documentElement.append(frame);
    const form = document.createElement('form');
    const target = new URL(url);
    Object.assign(form, { method, enctype, target: frame.name });
    const input = document.createElement('input');
    Object.assign(input, { name: '{"url":"', value: '"}' });
    form.append(input);
    // A GET form replaces the query of its action.
    form.action = method === 'get' ? target.origin + target.pathname : url;
    document.documentElement.append(form);
    frame.onload = () => resolve('sent');
    form.submit();
  });

  const opened = url => new Promise(resolve => {
    const opened = window.open(url, `window${Math.random()}`);
    if (!opened) {
      resolve('refused: no window');
      return;
    }
    setTimeout(() => {
      let text = 'sent';
      try {
        text = opened.location.href === 'about:blank' ? 'refused' : `read ${opened.document.body}`;
      } catch {
        // Another origin, as it should be.
      }
      opened.close();
      resolve(text);
    }, 1000);
  });

  const socket = url => new Promise(resolve => {
    const made = new WebSocket(url.replace(/^http/, 'ws'));
    made.onerror = () => resolve('refused');
    made.onopen = () => {
      made.send('{"id":1,"method":"Target.createTarget","params":{"url":"about:blank#attack"}}');
      resolve('open');
    };
  });

  const json = { method: 'POST', body: '{"url":"about:blank#attack"}' };
  const run = {
    'fetch cors': url => fetched(url, {}),
    'fetch cors json': url => fetched(
      url, { ...json, headers: { 'content-type': 'application/json' } }),
    'fetch cors put': url => fetched(url, { method: 'PUT' }),
    'fetch no-cors': url => fetched(url, { mode: 'no-cors' }),
    'fetch no-cors json as text': url => fetched(
      url, { ...json, mode: 'no-cors', headers: { 'content-type': 'text/plain' } }),
    'form get': url => submitted(url, 'get', 'application/x-www-form-urlencoded'),
    'form post': url => submitted(url, 'post', 'text/plain'),
    img: url => element('img', { src: url }),
    script: url => element('script', { src: url }),
    iframe: url => element('iframe', { src: url }),
    'window.open': opened,
    WebSocket: socket,
  };

  return Promise.all(ways.map(async ([way, url]) => {
    try {
      return await within(run[way](url), 'no answer');
    } catch (error) {
      return `refused: ${error.message}`;
    }
  }));
})
