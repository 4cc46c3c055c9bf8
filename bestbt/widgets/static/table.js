function cell(row, tag, text, number) {
  const el = document.createElement(tag);
  el.textContent = text; // never as HTML: tags and reasons are the user's words
  if (number) el.className = "bt-number";
  row.appendChild(el);
  return el;
}

function render({ model, el }) {
  el.classList.add("bt-table");

  const draw = () => {
    const columns = model.get("columns");
    const rows = model.get("rows");
    const tones = model.get("tones");
    const toned = model.get("toned");
    const hint = model.get("hint");
    const table = document.createElement("table");
    const head = table.createTHead().insertRow();
    for (const [name, number] of columns) cell(head, "th", name, number);
    const body = table.createTBody();
    rows.forEach((texts, i) => {
      const row = body.insertRow();
      if (hint) row.title = hint;
      texts.forEach((text, j) => {
        const td = cell(row, "td", text, columns[j][1]);
        if (j === toned && tones[i]) td.classList.add(tones[i] > 0 ? "bt-up" : "bt-down");
      });
      row.addEventListener("click", () => pick(i));
    });
    const note = document.createElement("div");
    note.className = "bt-note";
    note.textContent = model.get("note");
    const scrolled = el.scrollTop;
    el.replaceChildren(table, note);
    el.scrollTop = scrolled; // what one reads stays where it is
    if (rows.length !== many) at = -1; // others are in its place
    many = rows.length;
    if (at >= 0) mark("bt-cursor", at);
  };

  const lines = () => el.querySelector("tbody").rows;
  const mark = (name, i) => {
    el.querySelector(`.${name}`)?.classList.remove(name);
    lines()[i]?.classList.add(name);
  };
  const pick = (i) => {
    mark("bt-picked", i);
    model.send({ row: i });
  };

  // Without a mouse: ↑ and ↓ move a frame over the rows, Enter is the click.
  let at = -1;
  let many = 0;
  if (model.get("hint")) el.tabIndex = 0;
  el.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const last = lines().length - 1;
    if (!model.get("hint") || last < 0 || !(step || event.key === "Enter")) return;
    event.preventDefault();
    event.stopPropagation();
    if (step) {
      at = Math.min(Math.max(at + step, 0), last);
      mark("bt-cursor", at);
      lines()[at].scrollIntoView({ block: "nearest" });
    } else if (at >= 0 && at <= last && !event.repeat) pick(at);
  });

  draw();
  // One message sets rows, tones and note; draw once, after all of them have changed.
  let due = false;
  const later = () => {
    if (due) return;
    due = true;
    queueMicrotask(() => {
      due = false;
      draw();
    });
  };
  for (const name of ["rows", "tones", "note"]) model.on(`change:${name}`, later);
}

export default { render };
