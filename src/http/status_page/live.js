"use strict";
// Refreshes the page. The server filters, sorts and renders.
(() => {
  const byId = (id) => document.getElementById(id);
  const live = byId("live"), failed = byId("refresh-failed"), paused = byId("refresh-paused");
  const search = byId("search"), sort = byId("sort"), order = sort.form.elements.order;
  const interval = 1000 * live.dataset.interval, hiddenInterval = 60000;
  // Numbers of the last request and of the request that is shown; time of the last refresh.
  let requested = 0, shown = 0, refreshedAt = 0, timer, typingTimer;

  async function refresh() {
    const number = ++requested;
    clearTimeout(timer);
    try {
      // fetch() refuses addresses with a password, which the browser sends anyway.
      const address = Object.assign(new URL(location.href), { username: "", password: "" });
      const response = await fetch(address, { signal: AbortSignal.timeout(15000) });
      const text = await response.text();
      const page = new DOMParser().parseFromString(text, "text/html");
      if (!response.ok || !page.getElementById("live")) {
        throw new Error(`HTTP status ${response.status}: ${text.slice(0, 200)}`);
      }
      if (number > shown) {
        shown = number;
        show(page);
      }
      failed.hidden = true;
      refreshedAt = Date.now();
    } catch (error) {
      if (number === requested) {
        const time = refreshedAt && new Date(refreshedAt).toLocaleString();
        const last = time ? `last refreshed ${time}` : "not refreshed since it was opened";
        failed.textContent = `Failed to refresh this page (${last}): ${error.message}`;
        failed.hidden = false;
        document.title = "refresh failed · Atlas backup exports";
      }
    }
    if (number === requested) timer = setTimeout(tick, interval);
  }

  function show(page) {
    const focusable = "a, summary", focused = live.contains(document.activeElement) ? document.activeElement : null;
    // Links of a row have no id. The row stays, its content is replaced.
    const row = focused?.closest("#rows tr"), place = row ? [...row.querySelectorAll(focusable)].indexOf(focused) : 0;
    for (const id of ["severities", "banners", "shown", "head"]) update(byId(id), page.getElementById(id));
    updateRows(byId("rows"), page.getElementById("rows"));
    if (focused) (row ? row.querySelectorAll(focusable)[place] : byId(focused.id))?.focus({ preventScroll: true });
    document.title = page.title;
    // A live region: screen readers announce changes.
    update(byId("summary"), page.getElementById("summary"));
  }

  function update(element, replacement) {
    if (!element.isEqualNode(replacement)) element.replaceChildren(...replacement.childNodes);
  }

  // Opens the details that the user has opened, one in a cell at most.
  function keepOpen(row, replacement) {
    for (const details of row.querySelectorAll("details[open]")) {
      const { cellIndex } = details.closest("td");
      replacement.cells[cellIndex].querySelector("details")?.setAttribute("open", "");
    }
  }

  // Keeps the elements of known rows, so that the browser keeps the scroll position.
  function updateRows(table, replacement) {
    const before = new Map([...table.children].map((row) => [row.dataset.key, row]));
    let next = table.firstElementChild;
    for (const row of [...replacement.children]) {
      const known = before.get(row.dataset.key);
      if (known) {
        keepOpen(known, row);
        update(known, row);
      }
      if (known && known === next) next = next.nextElementSibling;
      else table.insertBefore(known ?? row, next);
    }
    while (next) {
      const removed = next;
      next = next.nextElementSibling;
      removed.remove();
    }
  }

  // A refresh would clear a selection of text before it can be copied.
  function tick() {
    const selection = getSelection();
    const isSelecting = !selection.isCollapsed && selection.containsNode(live, true);
    paused.hidden = !isSelecting;
    const isHidden = document.hidden && Date.now() - refreshedAt < hiddenInterval;
    if (isSelecting || isHidden) timer = setTimeout(tick, interval);
    else refresh();
  }

  function go(query) {
    sort.value = query.get("sort") ?? "status";
    order.checked = query.get("order") === "reversed";
    history.replaceState(null, "", location.pathname + (query ? `?${query}` : ""));
    refresh();
  }

  // The search in a link may be older than the text in the input.
  function withSearch(query) {
    if (search.value) query.set("search", search.value);
    else query.delete("search");
    return query;
  }

  document.addEventListener("click", (event) => {
    const link = event.target.closest('a[href^="?"]');
    if (!link || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    clearTimeout(typingTimer);
    go(withSearch(new URLSearchParams(link.search)));
  });
  sort.form.addEventListener("change", ({ target }) => {
    if (target === search) return;
    const query = withSearch(new URLSearchParams(location.search));
    query.set("sort", sort.value);
    if (order.checked) query.set("order", "reversed");
    else query.delete("order");
    go(query);
  });
  search.form.addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", () => {
    clearTimeout(typingTimer);
    typingTimer = setTimeout(() => go(withSearch(new URLSearchParams(location.search))), 150);
  });
  document.addEventListener("visibilitychange", () => document.hidden || (clearTimeout(timer), tick()));
  timer = setTimeout(tick, interval);
})();
