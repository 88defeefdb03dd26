// Finds products without leaving the page.
import { failed, loading, products } from "./panels.js";

export async function search(form, results) {
  const wanted = new FormData(form).get("q") || "";
  const address = new URL(window.location.href);
  address.pathname = "/";
  address.searchParams.set("q", wanted);
  window.history.replaceState({}, "", address);
  loading(results);
  try {
    const answer = await fetch(`/shop/products.json?q=${encodeURIComponent(wanted)}`);
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const found = await answer.json();
    const heading = document.createElement("p");
    heading.textContent = found.total === 1 ? "One product" : `${found.total} products`;
    results.replaceChildren(heading, products(found));
  } catch (error) {
    failed(results, () => search(form, results));
  }
  results.removeAttribute("aria-busy");
}
