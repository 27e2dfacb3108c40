
"use strict";
for (const slider of document.querySelectorAll(".slider")) {
  const control = slider.querySelector(".slide"), input = control.querySelector("input");
  const move = () => slider.style.setProperty("--at", input.value + "%");
  input.addEventListener("input", move);
  slider.classList.add("live");
  control.hidden = false;
  move();
}
for (const table of document.querySelectorAll("table.rows")) {
  const body = table.tBodies[0], rows = Array.from(body.rows), heads = Array.from(table.tHead.rows[0].cells);
  const key = (row, column) => row.cells[column].dataset.key;
  const compare = (one, other) => {
    const difference = Number(one) - Number(other);
    return Number.isNaN(difference) ? one.localeCompare(other) : difference;
  };
  const sort = (column) => {
    const down = heads[column].getAttribute("aria-sort") === "ascending";
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[column].setAttribute("aria-sort", down ? "descending" : "ascending");
    const known = rows.filter((row) => key(row, column) !== ""), unknown = rows.filter((row) => key(row, column) === "");
    known.sort((one, other) => (down ? -1 : 1) * compare(key(one, column), key(other, column)));
    body.append(...known, ...unknown);
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
  const tools = table.closest("section").querySelector(".tools");
  if (!tools) continue;
  const words = tools.querySelector("input"), state = tools.querySelector("select"), count = tools.querySelector("output");
  const filter = () => {
    const wanted = words.value.trim().toLowerCase();
    for (const row of rows) {
      const has = row.textContent.toLowerCase().includes(wanted);
      row.hidden = !has || (state.value !== "" ? row.dataset.state !== state.value : false);
    }
    count.textContent = rows.filter((row) => !row.hidden).length + " of " + rows.length + " shown";
  };
  words.addEventListener("input", filter);
  state.addEventListener("input", filter);
  tools.hidden = false;
  filter();
}
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details")) each.open = true;
});
