// Light and dark: the system's wish unless the person said otherwise.
const KEY = "workspace-theme";

export function theme() {
  return document.documentElement.dataset.theme;
}

export function setTheme(name, { remember = true } = {}) {
  document.documentElement.dataset.theme = name;
  if (remember) localStorage.setItem(KEY, name);
}

export function startTheme() {
  const asked = new URLSearchParams(location.search).get("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  setTheme(asked ?? localStorage.getItem(KEY) ?? (dark.matches ? "dark" : "light"), { remember: false });
  dark.addEventListener("change", () => { if (!localStorage.getItem(KEY)) setTheme(dark.matches ? "dark" : "light", { remember: false }); });
}
