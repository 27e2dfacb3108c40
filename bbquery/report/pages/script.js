
"use strict";
for (const slider of document.querySelectorAll(".slider")) {
  const control = slider.querySelector(".slide"), input = control.querySelector("input");
  const move = () => slider.style.setProperty("--at", input.value + "%");
  input.addEventListener("input", move);
  slider.classList.add("live");
  control.hidden = false;
  move();
}
const AT_ONCE = 100;  // rows: to lay out a thousand takes longer than a person waits for a filter
const { compare: alphabetical } = new Intl.Collator();
for (const table of document.querySelectorAll("table.rows")) {
  const body = table.tBodies[0], heads = Array.from(table.tHead.rows[0].cells);
  const tools = table.closest("section").querySelector(".tools");
  const more = document.createElement("button");
  let rows = Array.from(body.rows), wanted = () => true, most = AT_ONCE;
  const show = () => {
    const found = new Set(rows.filter(wanted)), shown = new Set([...found].slice(0, most));
    for (const row of rows) row.hidden = !shown.has(row);
    more.hidden = shown.size === found.size;
    more.textContent = "show all " + found.size;
    if (tools) tools.querySelector("output").textContent = more.hidden
      ? shown.size + " of " + rows.length + " shown" : found.size + " found, the first " + shown.size + " shown";
  };
  const sort = (column) => {
    const down = heads[column].getAttribute("aria-sort") === "ascending", sign = down ? -1 : 1;
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
    const keyed = rows.map((row) => ({ row, key: row.cells[column].dataset.key }));
    const known = keyed.filter((each) => each.key !== ""), unknown = keyed.filter((each) => each.key === "");
    for (const each of known) each.number = Number(each.key);
    known.sort((one, other) => {
      const difference = one.number - other.number;
      return sign * (Number.isNaN(difference) ? alphabetical(one.key, other.key) : difference);
    });
    rows = [...known, ...unknown].map((each) => each.row);
    body.replaceChildren(...rows);
    show();
  };
  heads.forEach((head, column) => {
    const name = head.textContent;
    if (head.classList.contains("plain")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () => sort(column));
    head.replaceChildren(button);
  });
  more.type = "button";
  more.className = "more noprint";
  (table.closest(".scroll") ?? table).after(more);
  const allow = (rowsAtOnce) => { most = rowsAtOnce; show(); };
  more.addEventListener("click", () => allow(Infinity));
  addEventListener("beforeprint", () => allow(Infinity));
  if (tools) {
    const words = tools.querySelector("input"), state = tools.querySelector("select"), texts = new Map();
    const text = (row) => texts.get(row) ?? texts.set(row, row.textContent.toLowerCase()).get(row);
    const filter = () => {
      const typed = words.value.trim().toLowerCase(), chosen = state.value;
      wanted = (row) => chosen === "" || row.dataset.state === chosen ? text(row).includes(typed) : false;
      allow(AT_ONCE);
    };
    words.addEventListener("input", filter);
    state.addEventListener("input", filter);
    tools.hidden = false;
  }
  show();
}
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details")) each.open = true;
});
