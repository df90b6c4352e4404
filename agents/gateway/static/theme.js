// Light or dark: as the system wishes, or as the reader chose; remembered.

const KEPT = "cityvitals.theme";
const ORDER = ["auto", "light", "dark"];
const dark = matchMedia("(prefers-color-scheme: dark)");

export function theme() {
  const word = localStorage.getItem(KEPT);
  return ORDER.includes(word) ? word : "auto";
}

export function applyTheme() {
  const system = dark.matches ? "dark" : "light";
  document.documentElement.dataset.theme = theme() === "auto" ? system : theme();
}

/** Follow the system, and tell of it. */
export function followSystem(changed) {
  dark.addEventListener("change", () => {
    applyTheme();
    changed();
  });
}

/** The next of system, light, dark. */
export function turnTheme() {
  localStorage.setItem(KEPT, ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length]);
  applyTheme();
}
