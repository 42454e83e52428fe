// Measures the status page with many clusters: `node many.mjs ADDRESS CLUSTERS`.
// Prints durations in milliseconds. Only the displayed content is checked.
import assert from "node:assert/strict";
import { browser } from "./browser.mjs";

const [address, clusters] = process.argv.slice(2);
const page = await browser.newPage();
const timed = async (what, work) => {
  const start = performance.now();
  await work();
  console.log(`${what}: ${Math.round(performance.now() - start)} ms`);
};
const shown = (count) =>
  page.waitForFunction((count) => document.querySelectorAll("tbody tr").length === count, count, { polling: 5 });
await timed("load and layout", async () => {
  await page.goto(address);
  await page.evaluate(() => document.body.offsetHeight);
});
await shown(Number(clusters));
console.log(JSON.stringify(await page.evaluate(() => {
  const [load] = performance.getEntriesByType("navigation");
  const response = Math.round(load.responseEnd - load.requestStart);
  return { bytes: load.decodedBodySize, transferred: load.transferSize, response };
})));
const refreshed = async () => {
  const before = await page.locator("caption").textContent();
  await page.waitForTimeout(1000);
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await page.waitForFunction((before) => document.querySelector("caption").textContent !== before, before);
};
// Refreshes keep details open and the focus in the row.
const first = page.locator("tbody tr").first();
await first.locator("summary").click();
await refreshed();
await refreshed();
assert.ok(await first.locator("details").evaluate((details) => details.open && details.isConnected));
assert.equal(await page.evaluate(() => document.activeElement.tagName), "SUMMARY");
// Refreshes keep the scroll position.
await page.mouse.move(300, 400);
await page.mouse.wheel(0, 4000);
await page.waitForTimeout(500);
const position = () => page.evaluate(() => {
  const row = [...document.querySelectorAll("tbody tr")].find((row) => row.getBoundingClientRect().bottom > 100);
  return `${row.dataset.key} at ${Math.round(row.getBoundingClientRect().top)}`;
});
const positionBefore = await position();
await refreshed();
await refreshed();
assert.equal(await position(), positionBefore);
await timed("search with one match", async () => {
  await page.getByLabel("Search").fill("cluster-0042");
  await shown(1);
});
await timed("empty search", async () => {
  await page.getByLabel("Search").fill("");
  await shown(Number(clusters));
});
await timed("sort by cluster", async () => {
  await page.locator("#sort-cluster").click();
  await page.waitForFunction(() => document.querySelector("[aria-sort]").textContent === "Cluster", null, { polling: 5 });
});
assert.equal(await page.locator("tbody th").first().evaluate((cell) => cell.firstChild.textContent), "cluster-0000");
// The longest time for which a refresh blocks user input.
const longest = await page.evaluate(() => new Promise((done) => {
  const durations = [];
  const observer = new PerformanceObserver((list) => durations.push(...list.getEntries().map((entry) => entry.duration)));
  observer.observe({ type: "longtask" });
  // The page refreshes when it becomes visible.
  for (const wait of [500, 2500, 4500]) setTimeout(() => document.dispatchEvent(new Event("visibilitychange")), wait);
  setTimeout(() => done(Math.round(Math.max(0, ...durations))), 7000);
}));
console.log(`longest task during refreshes: ${longest} ms`);
await browser.close();
