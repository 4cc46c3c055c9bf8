const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

function make(tag, name, text) {
  const el = document.createElement(tag);
  if (name) el.className = name;
  if (text !== undefined) el.textContent = text;
  return el;
}

// Gains and losses differ in lightness too, and the sign is in the title: not by colour alone.
function paint(el, share) {
  const strength = Math.round(18 + 72 * Math.sqrt(Math.abs(share)));
  const colour = share > 0 ? "var(--bt-up)" : share < 0 ? "var(--bt-down)" : "var(--bt-line)";
  el.style.background = `color-mix(in srgb, ${colour} ${strength}%, transparent)`;
  el.classList.toggle("bt-loss", share < 0);
}

function render({ model, el }) {
  el.classList.add("bt-days");

  const draw = () => {
    const days = model.get("days");
    const pick = (day) => () => model.send({ day });
    const calendar = make("div", "bt-calendar");
    let month = null;
    let grid = null;
    for (const [day, share, text] of days) {
      const [y, m, d] = day.split("-").map(Number);
      if (month !== `${y}-${m}`) {
        month = `${y}-${m}`;
        const box = make("div", "bt-month");
        box.appendChild(make("span", "", `${MONTHS[m - 1]} ${y}`));
        grid = make("div", "bt-weeks");
        box.appendChild(grid);
        calendar.appendChild(box);
      }
      const first = new Date(Date.UTC(y, m - 1, 1)).getUTCDay();
      const lead = (first + 6) % 7; // weeks begin on Monday
      const cell = make("button", "bt-day", String(d));
      cell.style.gridColumn = ((lead + d - 1) % 7) + 1;
      cell.style.gridRow = Math.floor((lead + d - 1) / 7) + 1;
      cell.title = `${day}: ${text}; click to go to its first trade`;
      paint(cell, share);
      cell.addEventListener("click", pick(day));
      grid.appendChild(cell);
    }
    const list = make("div", "bt-ranked");
    for (const [day, share, text] of [...days].sort((a, b) => a[1] - b[1])) {
      const row = make("button", "bt-rank");
      row.title = "go to its first trade";
      row.appendChild(make("span", "", day));
      row.appendChild(make("b", share > 0 ? "bt-up" : share < 0 ? "bt-down" : "", text));
      row.addEventListener("click", pick(day));
      list.appendChild(row);
    }
    if (!days.length) calendar.appendChild(make("div", "bt-note", "No day has closed yet."));
    const at = el.querySelector(".bt-calendar")?.scrollTop ?? 0;
    el.replaceChildren(list, calendar);
    calendar.scrollTop = at;
  };
  draw();
  model.on("change:days", draw);
  return () => model.off("change:days", draw);
}

export default { render };
