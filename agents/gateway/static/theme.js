// Light or dark: as the system wishes, or as the reader chose; remembered.

const KEPT = "cityvitals.theme";
const ORDER = ["auto", "light", "dark"];

export function theme() {
  const word = localStorage.getItem(KEPT);
  return ORDER.includes(word) ? word : "auto";
}

export function applyTheme() {
  document.documentElement.dataset.theme = theme();
}

/** The next of system, light, dark. */
export function turnTheme() {
  localStorage.setItem(KEPT, ORDER[(ORDER.indexOf(theme()) + 1) % ORDER.length]);
  applyTheme();
}
