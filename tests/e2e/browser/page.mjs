// Tests the status page in Debian's Chromium: `node page.mjs ADDRESS PID CLUSTERS FOLDER`.
// PID is the process that serves the page; it is killed. Screenshots are written to FOLDER.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { browser, require } from "./browser.mjs";

const [address, pid, clusters, folder] = process.argv.slice(2);
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const problems = [];
async function open(options, path = "", from = address) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => message.text().includes("Content Security Policy") && problems.push(message.text()));
  page.on("request", (request) => {
    if (new URL(request.url()).host !== new URL(address).host) problems.push(`request to ${request.url()}`);
  });
  await page.goto(from + path);
  return page;
}
const rows = (page) => page.locator("tbody tr").count();
const first = (page) => page.locator("tbody th").first().evaluate((cell) => cell.firstChild.textContent);
const statuses = (page) =>
  page.locator("tbody td:first-child").evaluateAll((cells) => cells.map((cell) => cell.querySelector("a")?.textContent ?? cell.firstChild.textContent));

// axe finds no accessibility problems in any color scheme and width.
for (const colorScheme of ["light", "dark"]) {
  for (const width of [1400, 900, 420]) {
    const page = await open({ colorScheme, viewport: { width, height: 900 } });
    await page.evaluate(axe);
    const { violations, incomplete } = await page.evaluate(() => axe.run());
    const found = [...violations, ...incomplete].map(({ id, nodes: [node] }) => `${id}: ${node.html}: ${node.failureSummary}`);
    assert.deepEqual(found, [], `${colorScheme}, ${width}`);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${width}: ${overflow} pixels too wide`);
    await page.screenshot({ path: join(folder, `page-${colorScheme}-${width}.png`) });
    await page.context().close();
  }
}

// Screen readers get a table in any width.
for (const width of [1400, 420]) {
  const page = await open({ viewport: { width, height: 900 } });
  const tree = await page.locator("main").ariaSnapshot();
  for (const part of ["- table", "- columnheader \"Status\"", "- rowheader", "- navigation \"Severities\""]) {
    assert.ok(tree.includes(part), `${width}: no ${part} in\n${tree.slice(0, 2000)}`);
  }
  await page.context().close();
}

// The page works without JavaScript.
{
  const page = await open({ javaScriptEnabled: false });
  assert.equal(await rows(page), Number(clusters));
  await page.getByLabel("Search").fill("billing");
  await page.getByRole("button", { name: "Apply" }).click();
  assert.equal(await rows(page), 1);
  await page.getByRole("link", { name: /^OK/ }).click();
  assert.equal(await rows(page), 0);
  assert.match(page.url(), /search=billing&severity=ok/);
  await page.context().close();
}

// On phones, the order is a control, with and without JavaScript.
const phone = { viewport: { width: 390, height: 844 } };
for (const javaScriptEnabled of [true, false]) {
  const page = await open({ ...phone, javaScriptEnabled });
  const apply = async () => javaScriptEnabled || page.getByRole("button", { name: "Apply" }).click();
  assert.equal(await page.locator("thead").evaluate((head) => head.getBoundingClientRect().height), 1);
  await page.getByLabel("Sort by").selectOption("Cluster");
  await apply();
  await page.waitForURL(/[?&]sort=cluster/);
  await page.locator("tbody tr:first-child th", { hasText: "reporting" }).waitFor();
  await page.getByLabel("reversed").check();
  await apply();
  await page.waitForURL(/[?&]sort=cluster.*&order=reversed|order=reversed.*sort=cluster/);
  await page.locator("tbody tr:first-child th", { hasText: "prod-us" }).waitFor();
  await page.reload();
  assert.equal(await page.getByLabel("Sort by").inputValue(), "cluster");
  assert.ok(await page.getByLabel("reversed").isChecked());
  // The keyboard reaches the headers, which are visible then.
  await page.locator("#sort-status").focus();
  assert.ok(await page.locator("thead").evaluate((head) => head.getBoundingClientRect().height) > 10);
  await page.context().close();
}
{
  const page = await open({});
  assert.ok(!(await page.getByLabel("Sort by").isVisible()));
  await page.context().close();
}

// A path that does not exist has a line of text.
{
  const page = await open({}, "/no-page");
  assert.equal(await page.locator("body").innerText(), "not found; see /\n");
  await page.context().close();
}

// With JavaScript, it searches while the user types, sorts and refreshes without a page load.
const page = await open({});
await page.evaluate(() => (window.mark = 1));
const worst = await statuses(page);
assert.deepEqual(worst, worst.toSorted((a, b) => order(a) - order(b)));
await page.keyboard.press("Tab");
await page.keyboard.type("pay");
await page.waitForFunction((all) => document.querySelectorAll("tbody tr").length < all, Number(clusters));
assert.ok((await page.locator("tbody th small").allTextContents()).every((project) => project.startsWith("payments")));
assert.match(page.url(), /search=pay/);
await page.getByRole("link", { name: "Cluster", exact: true }).focus();
await page.keyboard.press("Enter");
await page.waitForFunction(() => document.querySelector("[aria-sort]").textContent === "Cluster");
assert.equal(await first(page), "archive");
await page.keyboard.press("Enter");
await page.waitForFunction(() => document.querySelector("[aria-sort=descending]"));
assert.equal(await first(page), "prod-us");
// Refreshes keep the focus and the selected text.
const asOf = () => page.locator("caption").textContent();
await page.evaluate(() => (document.querySelector("tbody tr").mark = 1));
const before = await asOf();
await page.waitForFunction((before) => document.querySelector("caption").textContent !== before, before);
assert.equal(await page.evaluate(() => document.activeElement.id), "sort-cluster");
assert.equal(await page.evaluate(() => document.querySelector("tbody tr").mark), 1, "the row is another element");
await page.evaluate(() => getSelection().selectAllChildren(document.querySelector("tbody th")));
const selectedAt = await asOf();
await page.getByText("paused while text is selected").waitFor();
await page.waitForTimeout(3000);
assert.equal(await asOf(), selectedAt);
await page.evaluate(() => getSelection().removeAllRanges());
await page.waitForFunction((before) => document.querySelector("caption").textContent !== before, selectedAt);
// A copied address shows the same clusters.
const copy = await open({}, page.url().slice(address.length));
assert.equal(await first(copy), "prod-us");
assert.equal(await copy.getByLabel("Search").inputValue(), "pay");

// Refreshes work with a password in the address.
const guest = await open({}, "", address.replace("http://", "http://guest:secret@"));
await guest.getByLabel("Search").fill("billing");
await guest.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
// A link rendered before the user typed keeps the typed search.
await guest.evaluate(() => {
  const search = document.getElementById("search");
  search.value = "warehouse";
  search.dispatchEvent(new Event("input"));
  document.getElementById("all").click();
});
await guest.waitForFunction(() => document.querySelector("tbody th")?.firstChild.textContent === "warehouse");

// Failed refreshes are shown until a refresh succeeds.
await page.route("**/*", (route) => route.fulfill({ status: 503, body: "Limit of concurrent requests reached" }));
await page.getByRole("alert").waitFor();
assert.match(await page.getByRole("alert").textContent(), /^Failed to refresh this page \(last refreshed .+\): HTTP status 503: Limit of concurrent/);
assert.equal(await first(page), "prod-us");
assert.match(await page.title(), /^refresh failed/);
await page.unroute("**/*");
await page.getByRole("alert").waitFor({ state: "hidden" });
assert.match(await page.title(), /critical/);
process.kill(Number(pid), "SIGKILL");
await page.getByRole("alert").waitFor();
assert.equal(await page.evaluate(() => window.mark), 1);
await page.screenshot({ path: join(folder, "page-refresh-failed.png") });
await browser.close();
assert.deepEqual(problems, []);

function order(status) {
  const worstFirst = [
    "Failed",
    "Not started",
    "Overdue",
    "Never succeeded",
    "Bucket missing",
    "Polls failing",
    "Stalled",
    "Queued too long",
    "Auto export disabled",
  ];
  const index = worstFirst.indexOf(status);
  return index < 0 ? worstFirst.length : index;
}
