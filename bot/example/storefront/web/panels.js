// A part of the page that loads by itself, and may fail by itself.
export function loading(panel) {
  panel.setAttribute("aria-busy", "true");
  panel.replaceChildren(
    ...[90, 70, 80].map((width) => {
      const line = document.createElement("div");
      line.className = "skeleton";
      line.style.width = `${width}%`;
      return line;
    }),
  );
}

export function failed(panel, again) {
  panel.removeAttribute("aria-busy");
  const box = document.createElement("div");
  box.setAttribute("role", "alert");
  box.textContent = "Something went wrong. ";
  const button = document.createElement("button");
  button.textContent = "Try again";
  button.addEventListener("click", again);
  box.append(button);
  panel.replaceChildren(box);
}

export function products(found) {
  const list = document.createElement("ul");
  for (const product of found.items) {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = `/products/${product.id}`;
    link.textContent = `${product.name}, ${(product.price_cents / 100).toFixed(2)} €`;
    item.append(link);
    list.append(item);
  }
  return list;
}
