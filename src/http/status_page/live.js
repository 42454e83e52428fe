"use strict";
// The server filters, sorts and renders; this only asks it again, and says when it does not answer.
(() => {
  const of = (id) => document.getElementById(id);
  const live = of("live"), lost = of("lost"), held = of("held"), search = of("search");
  const every = 1000 * live.dataset.every, everyHidden = 60000;
  let asked = 0, shown = 0, since = 0, timer, typing;

  async function refresh() {
    const number = ++asked;
    clearTimeout(timer);
    try {
      // An address with a password in it cannot be fetched; the browser knows it anyway.
      const address = Object.assign(new URL(location.href), { username: "", password: "" });
      const answer = await fetch(address, { signal: AbortSignal.timeout(15000) });
      const text = await answer.text();
      const page = new DOMParser().parseFromString(text, "text/html");
      if (!answer.ok || !page.getElementById("live")) throw new Error(`it answered ${answer.status}: ${text.slice(0, 200)}`);
      if (number > shown) {
        shown = number;
        show(page);
      }
      lost.hidden = true;
      since = Date.now();
    } catch (error) {
      if (number === asked) {
        const last = since ? `since ${new Date(since).toLocaleString()}` : "since it was opened";
        lost.textContent = `This page was not refreshed ${last}, and what stands below is from then. The exporter was asked, but ${error.message}`;
        lost.hidden = false;
        document.title = "not refreshed · Atlas backup exports";
      }
    }
    if (number === asked) timer = setTimeout(tick, every);
  }

  function show(page) {
    const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
    for (const id of ["severities", "banners", "shown", "head"]) put(of(id), page.getElementById(id));
    rows(of("rows"), page.getElementById("rows"));
    if (focused) of(focused)?.focus({ preventScroll: true });
    document.title = page.title;
    // Screen readers read it out when it changes.
    put(of("said"), page.getElementById("said"));
  }

  function put(known, fresh) {
    if (!known.isEqualNode(fresh)) known.replaceChildren(...fresh.childNodes);
  }

  // A row that stays, stays the same element: so the browser keeps the place of whoever reads.
  function rows(known, fresh) {
    const before = new Map([...known.children].map((row) => [row.dataset.key, row]));
    let place = known.firstElementChild;
    for (const row of [...fresh.children]) {
      const same = before.get(row.dataset.key);
      if (same) put(same, row);
      if (same && same === place) place = place.nextElementSibling;
      else known.insertBefore(same ?? row, place);
    }
    while (place) {
      const gone = place;
      place = place.nextElementSibling;
      gone.remove();
    }
  }

  // What someone marks in order to copy it must not vanish.
  function tick() {
    const marked = getSelection();
    const marking = !marked.isCollapsed && marked.containsNode(live, true);
    held.hidden = !marking;
    if (marking || (document.hidden && Date.now() - since < everyHidden)) timer = setTimeout(tick, every);
    else refresh();
  }

  function go(query) {
    history.replaceState(null, "", location.pathname + (query ? `?${query}` : ""));
    refresh();
  }

  // What a link was rendered with may be older than what someone has typed.
  function withSearch(query) {
    if (search.value) query.set("search", search.value);
    else query.delete("search");
    return query;
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="?"]');
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    clearTimeout(typing);
    go(withSearch(new URLSearchParams(link.search)));
  });
  search.form.addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => go(withSearch(new URLSearchParams(location.search))), 150);
  });
  document.addEventListener("visibilitychange", () => document.hidden || (clearTimeout(timer), tick()));
  timer = setTimeout(tick, every);
})();
