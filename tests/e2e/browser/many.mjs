// How long the status page takes with many clusters: `node many.mjs ADDRESS CLUSTERS`. Prints milliseconds; only what is shown is judged.
import assert from "node:assert/strict";
import { browser } from "./browser.mjs";

const [address, clusters] = process.argv.slice(2);
const page = await browser.newPage();
const timed = async (what, work) => {
  const began = performance.now();
  await work();
  console.log(`${what}: ${Math.round(performance.now() - began)} ms`);
};
const shown = (count) => page.waitForFunction((count) => document.querySelectorAll("tbody tr").length === count, count, { polling: 5 });
await timed("load and lay out", async () => {
  await page.goto(address);
  await page.evaluate(() => document.body.offsetHeight);
});
await shown(Number(clusters));
console.log(JSON.stringify(await page.evaluate(() => {
  const [load] = performance.getEntriesByType("navigation");
  return { bytes: load.decodedBodySize, transferred: load.transferSize, answered: Math.round(load.responseEnd - load.requestStart) };
})));
// Whoever reads keeps the place, whatever comes and however often.
await page.mouse.move(300, 400);
await page.mouse.wheel(0, 4000);
await page.waitForTimeout(500);
const place = () => page.evaluate(() => {
  const row = [...document.querySelectorAll("tbody tr")].find((row) => row.getBoundingClientRect().bottom > 100);
  return `${row.dataset.key} at ${Math.round(row.getBoundingClientRect().top)}`;
});
const read = await place();
for (let time = 0; time < 2; time++) {
  const before = await page.locator("caption").textContent();
  await page.waitForTimeout(1000);
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  await page.waitForFunction((before) => document.querySelector("caption").textContent !== before, before);
}
assert.equal(await place(), read);
await timed("a word that finds one", async () => {
  await page.getByLabel("Find").fill("cluster-0042");
  await shown(1);
});
await timed("and all again", async () => {
  await page.getByLabel("Find").fill("");
  await shown(Number(clusters));
});
await timed("sorted the other way", async () => {
  await page.locator("#sort-cluster").click();
  await page.waitForFunction(() => document.querySelector("[aria-sort]").textContent === "Cluster", null, { polling: 5 });
});
assert.equal(await page.locator("tbody th").first().evaluate((cell) => cell.firstChild.textContent), "cluster-0000");
// What a refresh keeps the page from doing at once.
const longest = await page.evaluate(() => new Promise((done) => {
  const seen = [];
  new PerformanceObserver((list) => seen.push(...list.getEntries().map((entry) => entry.duration))).observe({ type: "longtask" });
  // It is asked again when someone comes back.
  for (const wait of [500, 2500, 4500]) setTimeout(() => document.dispatchEvent(new Event("visibilitychange")), wait);
  setTimeout(() => done(Math.round(Math.max(0, ...seen))), 7000);
}));
console.log(`longest stretch without an ear for the user: ${longest} ms`);
await browser.close();
