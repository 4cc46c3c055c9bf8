// Open positions, each with its own buttons. Rows are kept while their position is: a button must
// not vanish under the pointer because a price has changed.
const ACTIONS = [
  ["exit", "✕", "close this position at the next bar"],
  ["add", "+", "add a lot"],
  ["roll", "↻", "roll it: Enter for the next expiry, or type 2024-02-01, atm, delta:0.3"],
];

function text(el, value) {
  if (el.textContent !== value) el.textContent = value;
}

function make(model, name, columns) {
  const row = document.createElement("tr");
  row.cells_ = columns.map(([, number]) => {
    const td = row.insertCell();
    if (number) td.className = "bt-number";
    return td;
  });
  row.cells_[0].classList.add("bt-link");
  row.cells_[0].title = "show it in the chart";
  pressed(row.cells_[0], () => model.send({ name, action: "chart" }));
  const stop = columns.findIndex(([label]) => label === "SL");
  const cell = row.cells_[stop];
  cell.classList.add("bt-edit");
  cell.title = "click to move the stop: a price, 25% or 30pts; empty takes it away";
  pressed(cell, () => edit(model, name, cell));
  const td = row.insertCell();
  td.className = "bt-actions";
  for (const [action, label, hint] of ACTIONS) {
    const button = document.createElement("button");
    button.textContent = label;
    button.title = hint;
    button.className = `bt-${action}`;
    button.addEventListener("click", () => {
      if (action !== "roll") return model.send({ name, action });
      type(td, "", "next", (value) => model.send({ name, action, value }));
    });
    td.appendChild(button);
  }
  return row;
}

// A cell that is clicked, or reached with Tab and pressed with Enter.
function pressed(cell, act) {
  cell.tabIndex = 0;
  cell.addEventListener("click", act);
  cell.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target !== cell || event.repeat) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });
}

// Let something be typed into a cell: Enter sends it, anything else leaves all as it was.
function type(cell, value, hint, send) {
  if (cell.editing_) return;
  const kept = [...cell.childNodes];
  const input = document.createElement("input");
  input.value = value;
  input.placeholder = hint;
  cell.editing_ = true;
  cell.replaceChildren(input);
  const end = (typed) => {
    if (!cell.editing_) return;
    cell.editing_ = false;
    cell.replaceChildren(...kept);
    if (typed !== null) send(typed);
  };
  input.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key !== "Enter" && event.key !== "Escape") return;
    end(event.key === "Enter" ? input.value.trim() : null);
    if (cell.tabIndex === 0) cell.focus();
  });
  input.addEventListener("blur", () => end(null));
  input.focus();
  input.select();
}

function edit(model, name, cell) {
  const shown = cell.textContent.replaceAll(",", "").replace("–", "");
  type(cell, shown, "25%", (value) => model.send({ name, action: "stop", value }));
}

function render({ model, el }) {
  el.classList.add("bt-table", "bt-positions");
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  const columns = model.get("columns");
  for (const [name, number, hint] of columns) {
    const th = document.createElement("th");
    th.textContent = name;
    if (hint) th.title = hint;
    if (number) th.className = "bt-number";
    head.appendChild(th);
  }
  head.appendChild(document.createElement("th"));
  const body = table.createTBody();
  const foot = table.createTFoot().insertRow();
  const totals = columns.map(([, number]) => {
    const td = foot.insertCell();
    if (number) td.className = "bt-number";
    return td;
  });
  foot.insertCell();
  const note = document.createElement("div");
  note.className = "bt-note";
  el.replaceChildren(table, note);
  const rows = new Map();

  const draw = () => {
    const data = model.get("data");
    const kept = new Set(data.rows.map((r) => r.name));
    for (const [name, row] of rows) {
      if (!kept.has(name)) {
        row.remove();
        rows.delete(name);
      }
    }
    data.rows.forEach(({ name, texts, tone, marks, hint }, i) => {
      if (!rows.has(name)) rows.set(name, make(model, name, columns));
      const row = rows.get(name);
      if (body.rows[i] !== row) body.insertBefore(row, body.rows[i] ?? null);
      texts.forEach((value, j) => {
        const td = row.cells_[j];
        if (!td.editing_) text(td, value);
        td.classList.toggle("bt-stale", marks.includes(j));
      });
      row.cells_[texts.length - 1].title = hint;
      const pnl = row.cells_[data.toned];
      pnl.classList.toggle("bt-up", tone > 0);
      pnl.classList.toggle("bt-down", tone < 0);
    });
    totals.forEach((td, j) => text(td, data.totals[j] ?? ""));
    totals[data.toned].classList.toggle("bt-up", data.tone > 0);
    totals[data.toned].classList.toggle("bt-down", data.tone < 0);
    foot.hidden = data.rows.length < 1;
    table.hidden = data.rows.length < 1;
    text(note, data.note);
    for (const button of body.querySelectorAll("button")) button.disabled = !data.open;
  };
  draw();
  model.on("change:data", draw);
  return () => model.off("change:data", draw);
}

export default { render };
