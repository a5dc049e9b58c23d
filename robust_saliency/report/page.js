"use strict";
// The page is whole without this: it only filters, sorts and enlarges what is there.

const filter = document.querySelector(".filter");
if (filter) {
  filter.hidden = false;
  const buttons = [...filter.querySelectorAll("button")];
  const rows = [...document.querySelectorAll(".claims tr[data-verdict]")];
  const show = (verdict) => {
    for (const button of buttons) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict));
    }
    for (const row of rows) row.hidden = verdict !== "" && row.dataset.verdict !== verdict;
    for (const group of document.querySelectorAll(".claims tbody")) {
      group.hidden = ![...group.querySelectorAll("tr[data-verdict]")].some((row) => !row.hidden);
    }
  };
  for (const button of buttons) button.addEventListener("click", () => show(button.dataset.verdict));
  // A link to a row that is filtered away shows all rows again.
  addEventListener("hashchange", () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.hidden) {
      show("");
      target.scrollIntoView();
    }
  });
}

// The number that a cell begins with; what has none comes last.
const value = (row, column) => {
  const found = row.cells[column].textContent.trim().replaceAll(",", "").replace("\u2212", "-");
  const number = parseFloat(found);
  return Number.isNaN(number) ? -Infinity : number;
};

for (const table of document.querySelectorAll(".scroll table:not(.prose)")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.title = "Sort by this column";
    button.setAttribute("aria-label", `Sort by ${heading.textContent.trim()}`);
    heading.append(button);
    button.addEventListener("click", () => {
      const ascending = heading.getAttribute("aria-sort") === "descending";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
      for (const group of table.tBodies) {
        const rows = [...group.rows].filter((row) => !row.classList.contains("group"));
        const named = column === 0;
        rows.sort((a, b) =>
          named
            ? a.cells[0].textContent.localeCompare(b.cells[0].textContent)
            : value(a, column) - value(b, column),
        );
        if (!ascending !== named) rows.reverse();
        group.append(...rows);
      }
    });
  });
}

if (window.HTMLDialogElement) {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", "Enlarged figure; Escape closes it");
  dialog.addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  for (const image of document.querySelectorAll("figure img")) {
    image.tabIndex = 0;
    image.classList.add("enlarges");
    const enlarge = () => {
      const copy = image.cloneNode();
      copy.removeAttribute("style");
      copy.removeAttribute("tabindex");
      dialog.replaceChildren(copy);
      dialog.showModal();
    };
    image.addEventListener("click", enlarge);
    image.addEventListener("keydown", (event) => {
      if (event.key === "Enter") enlarge();
    });
  }
}

// Where one is, in the contents.
const links = new Map(
  [...document.querySelectorAll("nav a")].map((link) => [link.getAttribute("href").slice(1), link]),
);
const nav = document.querySelector("nav ol");
const mark = (current) => {
  for (const [name, link] of links) {
    if (name === current) {
      link.setAttribute("aria-current", "true");
      nav.scrollTo({ left: link.offsetLeft - nav.clientWidth / 3 });
    } else link.removeAttribute("aria-current");
  }
};
const watch = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) if (entry.isIntersecting) mark(entry.target.id);
  },
  { rootMargin: "-20% 0px -75% 0px" },
);
for (const section of document.querySelectorAll("main > section")) watch.observe(section);
