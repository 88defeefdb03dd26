// What every page needs; the rest comes when it is needed.
import { failed, loading, products } from "./panels.js";

const panel = document.getElementById("recommendations");

async function recommend() {
  loading(panel);
  try {
    const answer = await fetch("/shop/products.json?limit=4");
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    panel.replaceChildren(products(await answer.json()));
  } catch (error) {
    failed(panel, recommend);
  }
}

async function whenIdle(load) {
  await new Promise((resolve) => (window.requestIdleCallback || setTimeout)(resolve));
  try {
    await load();
  } catch (error) {
    document.getElementById("live").textContent = "Some parts of this page could not be loaded.";
  }
}

recommend();
whenIdle(async () => (await import("./chart.js")).draw(document.getElementById("sales")));
whenIdle(async () => (await import("./live.js")).listen(document.getElementById("live")));

document.getElementById("search").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { search } = await import("./search.js");
  await search(event.target, document.getElementById("results"));
});

if ("serviceWorker" in navigator) {
  navigator.serviceWorker.register("/sw.js").catch(() => {});
}
