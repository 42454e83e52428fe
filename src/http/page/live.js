"use strict";
// The server filters, sorts and renders; this only asks it again, and says when it does not answer.
(() => {
  const of = (id) => document.getElementById(id);
  const live = of("live"), lost = of("lost"), search = of("search");
  const every = 1000 * live.dataset.every;
  let asked = 0, shown = 0, timer, typing;

  async function refresh() {
    const number = ++asked;
    clearTimeout(timer);
    try {
      // An address with a password in it cannot be fetched; the browser knows it anyway.
      const address = Object.assign(new URL(location.href), { username: "", password: "" });
      const answer = await fetch(address, { signal: AbortSignal.timeout(15000) });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const fresh = page.getElementById("live");
      if (!answer.ok || !fresh) throw new Error(`it answered ${answer.status}`);
      if (number > shown) {
        shown = number;
        show(page, fresh);
      }
      lost.hidden = true;
    } catch (error) {
      if (number === asked) {
        if (lost.hidden) lost.firstElementChild.textContent = new Date().toLocaleTimeString();
        lost.lastElementChild.textContent = error.message;
        lost.hidden = false;
      }
    }
    if (number === asked) timer = setTimeout(tick, every);
  }

  function show(page, fresh) {
    const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
    live.replaceChildren(...fresh.childNodes);
    if (focused) of(focused)?.focus({ preventScroll: true });
    document.title = page.title;
    const said = page.getElementById("said").textContent;
    // Screen readers read it out when it changes.
    if (of("said").textContent !== said) of("said").textContent = said;
  }

  // What someone marks in order to copy it must not vanish, and nobody looks at a page that is hidden.
  function tick() {
    const marked = getSelection();
    const busy = document.hidden || (!marked.isCollapsed && live.contains(marked.anchorNode));
    if (busy) timer = setTimeout(tick, every);
    else refresh();
  }

  function go(address) {
    history.replaceState(null, "", address);
    refresh();
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="?"]');
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.href);
  });
  search.form.addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => {
      const address = new URL(location.href);
      address.searchParams.set("search", search.value);
      go(address);
    }, 150);
  });
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  timer = setTimeout(tick, every);
})();
