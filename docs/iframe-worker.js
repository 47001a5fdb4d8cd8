// Search in pages that were opened from disk, where browsers refuse workers: a worker's script runs
// in a hidden frame instead. MkDocs' plugin `offline` takes this file instead of one on the web.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inner = frame.contentWindow;
      // Else the empty document is replaced by another one.
      inner.document.open();
      inner.document.close();
      inner.postMessage = (data) =>
        this.dispatchEvent(new MessageEvent("message", { data }));
      const script = inner.document.createElement("script");
      this.inner = inner;
      this.loaded = new Promise((resolve) => (script.onload = resolve));
      script.src = url;
      (inner.document.body ?? inner.document.documentElement ?? inner.document).append(script);
    }

    postMessage(data) {
      this.loaded.then(() => this.inner.dispatchEvent(new MessageEvent("message", { data })));
    }
  };
}
