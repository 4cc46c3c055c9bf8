// The chain: rows of numbers come in one buffer; cells are made once and their texts replaced.

const MINUS = "−";
const NONE = "–";

const grouped = { true: new Intl.NumberFormat("en-IN"), false: new Intl.NumberFormat("en-US") };
const UNITS = { true: [[1e7, "Cr"], [1e5, "L"], [1e3, "K"]], false: [[1e9, "B"], [1e6, "M"], [1e3, "K"]] };

const signed = (v, text) => (v < 0 ? MINUS + text : text);

function short(v, look, digits = 3) {
  const size = Math.abs(v);
  for (const [unit, letter] of UNITS[look.indian]) {
    if (size < unit * 0.9995) continue;
    const many = size / unit;
    if (look.compact && letter === "Cr" && many < 9.995) continue; // 114L is shorter than 1.14Cr
    const most = look.compact && letter === "Cr" ? 2 : digits;
    const places = Math.max(0, most - (many < 9.995 ? 1 : many < 99.95 ? 2 : 3));
    return signed(v, many.toFixed(places) + letter);
  }
  return signed(v, size.toFixed(0));
}

const whole = (v, look) => signed(v, grouped[look.indian].format(Math.round(Math.abs(v))));

function price(v, { short: tight } = {}) {
  const size = Math.abs(v);
  const text = size.toFixed(tight && size >= 999.995 ? 0 : 2);
  return signed(v, text.replace(/\B(?=(\d{3})+(?!\d))/, ","));
}

const units = (v, look) => (look.short ? short : whole)(v, look);
const plus = (v, text) => (v > 0 ? "+" + text : text);
const fixed = (places) => (v) => signed(v, Math.abs(v).toFixed(places));
const bare = (v) => signed(v, Math.abs(v) < 0.995 ? Math.abs(v).toFixed(2).slice(1) : "1.0");

// field, head, width in digits (full, full and short, compact), what it is, how it is written
const COLUMNS = [
  ["oi", "OI", [10.5, 6.4, 4.9], "open interest, units", units],
  ["oi_change", "chg", [10.5, 7.5, 5.4], "change of open interest since the session before, units",
    (v, look) => plus(v, look.short ? short(v, look, look.compact ? 2 : 3) : whole(v, look))],
  ["volume", "vol", [11.5, 6.6, 0], "units traded in the session so far", units],
  ["iv", "IV", [5.5, 5.4, 4.1], "implied volatility a year, percent", (v) => fixed(1)(100 * v)],
  ["delta", "Δ", [6.2, 6.1, 4.4], "delta: change of the price when the forward rises by 1",
    (v, look) => (look.compact ? bare(v) : fixed(2)(v))],
  ["theta", "Θ", [8, 7.9, 0], "theta: change of the price in a calendar day", fixed(2)],
  ["vega", "vega", [6, 5.6, 0], "vega: change of the price per vol point", fixed(2)],
  ["gamma", "Γ", [8, 7.4, 0], "gamma: change of delta when the forward rises by 1", fixed(5)],
  ["bid", "bid", [8.8, 6.7, 0], "best bid at the bar's close", price],
  ["ask", "ask", [8.8, 6.7, 0], "best ask at the bar's close", price],
  ["last", "last", [8.8, 7, 6.1], "newest close; underlined where it lies outside bid and ask",
    price],
  ["age", "age", [5, 4.4, 0], "bars since the last trade; older than five, or of an earlier session: dimmed",
    (v) => v.toFixed(0)],
];
const WIDE = 1200; // px from which open interest is written in full
const GREEKS = new Set(["theta", "vega", "gamma"]);
const MIDDLE = [
  ["strike", "strike", [8, 7.2, 5.8], "strike; solid lines: at the money by spot, dotted: by the synthetic future"],
  ["straddle", "C+P", [9.5, 7, 6], "price of call and put together; – unless both are fresh"],
  ["own", "own", [10, 9.8, 7.4], "units held: C of the call, P of the put, CP of each; point at it to read both"],
];

const make = (tag, className = "", text = "") => {
  const el = document.createElement(tag);
  el.className = className;
  el.textContent = text; // never as HTML
  return el;
};

// A cell's text, class and title, written only where they change.
class Cell {
  constructor(row) {
    this.el = row.insertCell();
    this.node = this.el.appendChild(document.createTextNode(""));
    this.text = this.look = this.title = "";
  }

  set(text, look, title = "") {
    if (text !== this.text) this.node.data = this.text = text;
    if (look !== this.look) this.el.className = this.look = look;
    if (title !== this.title) this.el.title = this.title = title;
  }
}

function render({ model, el }) {
  const compact = model.get("around") !== null;
  const fields = model.get("fields");
  const at = Object.fromEntries(fields.map((name, i) => [name, i]));
  const shown = COLUMNS.filter(([, , width]) => !compact || width[2] > 0);
  const columns = [
    ...shown.map((column) => ["call", ...column]),
    ...MIDDLE.map((column) => ["", ...column]),
    ...shown.toReversed().map((column) => ["put", ...column]),
  ];

  el.classList.add("bt-chain", compact ? "bt-compact" : "bt-full");
  const head = make("div", "bt-chain-head");
  const expiry = make("select", "bt-chain-expiry");
  expiry.title = "expiry";
  expiry.setAttribute("aria-label", "expiry");
  const facts = make("span", "bt-chain-facts");
  head.append(make("b", "", "Calls"), expiry, facts);
  const more = make("button", "bt-chain-more", "Θ vega Γ");
  more.title = "show theta, vega and gamma too";
  more.setAttribute("aria-pressed", "false");
  if (!compact) head.append(more);
  head.append(make("b", "", "Puts"));

  const scroll = make("div", "bt-chain-scroll");
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "group");
  scroll.setAttribute("aria-label", "Chain: ↑ ↓ choose a strike, Home End call or put, Enter charts it");
  const table = document.createElement("table");
  const caption = table.createCaption();
  const group = document.createElement("colgroup");
  const line = table.createTHead().insertRow();
  for (const [side, field, name, , title] of columns) {
    const look = `bt-col-${field}${GREEKS.has(field) ? " bt-greek" : ""}`;
    group.appendChild(make("col", look));
    const th = line.appendChild(make("th", look, name));
    th.scope = "col";
    th.title = side ? `${side}s: ${title}` : title;
  }
  table.insertBefore(group, table.tHead);
  const body = table.createTBody();
  scroll.append(table);
  const note = make("div", "bt-chain-note");
  el.replaceChildren(head, scroll, note);
  scroll.style.setProperty("--rows", 2 * model.get("around") + 1);
  scroll.style.setProperty("--height", `${model.get("height")}px`);

  const rows = []; // of cells
  const look = { compact };
  let values = new Float64Array(0);
  let width = 0; // px; none while hidden, as behind a tab: nothing is drawn then
  let listed = ""; // the expiries in the select
  let asked; // as last told by the kernel
  let centred; // for which choice of expiry the table has been scrolled to the money

  const value = (row, name) => values[row * fields.length + at[name]];

  const own = (row) => {
    const [call, put] = [value(row, "call.own") || 0, value(row, "put.own") || 0];
    if (!call && !put) return ["", "", ""];
    const exact = (v) => plus(v, whole(v, look));
    const many = (v) => (compact ? plus(v, short(v, look, 2)) : exact(v));
    const title = [call && `call ${exact(call)}`, put && `put ${exact(put)}`].filter(Boolean).join(", ");
    const sign = (v) => (v < 0 ? MINUS : "+");
    if (call && put && call !== put) return [`${sign(call)}C ${sign(put)}P`, "", title];
    const tone = (call || put) < 0 ? "bt-short" : "bt-long";
    const letters = call && put ? "CP" : call ? "C" : "P";
    return [`${many(call || put)} ${letters}`, tone, title];
  };

  const drawMiddle = (row, field) => {
    if (field === "own") return own(row);
    const v = value(row, field);
    if (field === "strike") return [String(v), "", ""];
    return [Number.isNaN(v) ? NONE : price(v, look), "", ""];
  };

  const drawRow = (row, cells) => {
    const mark = value(row, "atm") ? " bt-atm" : value(row, "atm_synthetic") ? " bt-synthetic" : "";
    const sides = {};
    for (const side of ["call", "put"]) {
      const is = (flag) => value(row, `${side}.${flag}`) === 1;
      const held = value(row, `${side}.own`);
      sides[side] = {
        there: is("listed"),
        look: mark + (is("itm") ? " bt-itm" : "") + (is("old") ? " bt-old" : ""),
        last: (is("off") ? " bt-off" : "") + (held > 0 ? " bt-long" : held < 0 ? " bt-short" : ""),
      };
    }
    columns.forEach(([side, field, , , , write], i) => {
      if (!side) {
        const [text, extra, title] = drawMiddle(row, field);
        cells[i].set(text, `bt-col-${field}${mark}${extra && " " + extra}`, title);
        return;
      }
      const one = sides[side];
      const v = value(row, `${side}.${field}`);
      const text = !one.there ? "" : Number.isNaN(v) ? NONE : write(v, look);
      let extra = GREEKS.has(field) ? " bt-greek" : "";
      if (field === "last") extra = one.last;
      if (field === "oi_change") extra = v > 0 ? " bt-up" : v < 0 ? " bt-down" : "";
      cells[i].set(text, `bt-col-${field}${one.look}${extra}`);
    });
  };

  const drawHead = (meta) => {
    const list = JSON.stringify(meta.expiries);
    if (list !== listed) {
      listed = list;
      const nearest = new Option(`${meta.expiries[0][1]} · nearest`, "");
      expiry.replaceChildren(nearest, ...meta.expiries.map(([day, text]) => new Option(text, day)));
      asked = undefined;
    }
    // Only when the kernel says another than before: a choice just made is on its way.
    if (asked !== meta.asked) expiry.value = (asked = meta.asked) ?? "";
    const days = meta.dte === null ? NONE : meta.dte;
    const [at, source, age] = meta.forward ?? [NaN, "", 0];
    const forward = Number.isNaN(at) ? NONE : `${price(at)} ${compact ? source.slice(0, 3) : source}`;
    const late = age ? `, ${age} bars old` : "";
    const lot = meta.lot === null ? NONE : whole(meta.lot, look);
    const freeze = meta.freeze === null ? NONE : whole(meta.freeze, look);
    const text = compact
      ? `${days}d · F ${forward} · lot ${lot} · frz ${freeze}`
      : `${days} session${meta.dte === 1 ? "" : "s"} left · forward ${forward}${late} · lot ${lot} · freeze ${freeze}`;
    if (facts.textContent !== text) {
      facts.textContent = text;
      facts.title =
        `${days} sessions left until expiry; forward ${forward}${late} (${source}); ` +
        `lot ${lot}; freeze quantity, the most that one order may have: ${freeze}`;
      caption.textContent = `Option chain of ${meta.symbol}, expiry ${meta.expiry}`;
    }
  };

  const centre = () => {
    if (compact || centred === asked || !scroll.clientHeight || !rows.length) return;
    centred = asked;
    scroll.scrollLeft = (scroll.scrollWidth - scroll.clientWidth) / 2;
    const row = body.querySelector(".bt-atm")?.parentElement ?? body.rows[rows.length >> 1];
    scroll.scrollTop = row.offsetTop + row.offsetHeight / 2 - (scroll.clientHeight + line.offsetHeight) / 2;
  };

  const draw = () => {
    if (!width) return;
    const meta = model.get("meta");
    const bytes = model.get("data"); // a view into a message: it may start anywhere
    values = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    const n = values.length / fields.length;
    note.textContent = meta.note;
    el.classList.toggle("bt-empty", n === 0);
    head.hidden = !meta.expiry;
    look.indian = meta.indian === true;
    if (meta.expiry) drawHead(meta);
    look.short = compact || el.classList.contains("bt-greeks") || width < WIDE;
    columns.forEach(([, , , width], i) => {
      const digits = `${width[compact ? 2 : look.short ? 1 : 0]}ch`;
      if (group.children[i].style.width !== digits) group.children[i].style.width = digits;
    });
    while (rows.length > n) {
      rows.pop();
      body.deleteRow(-1);
    }
    while (rows.length < n) {
      const row = body.insertRow();
      rows.push(columns.map(() => new Cell(row)));
    }
    rows.forEach((cells, row) => drawRow(row, cells));
    centre();
    point();
  };

  const pick = (row, column) => {
    const right = { call: "CE", put: "PE", "": "" }[columns[column][0]];
    model.send({ strike: value(row, "strike"), right });
  };
  body.addEventListener("click", (event) => {
    const cell = event.target.closest("td");
    if (!cell) return;
    cursor.strike = value(cell.parentElement.sectionRowIndex, "strike");
    pick(cell.parentElement.sectionRowIndex, cell.cellIndex);
  });

  // Without a mouse: a frame is moved over the calls, the strikes and the puts. It stays with its
  // strike, as the rows move with the money.
  const stops = [["call", "last"], ["", "strike"], ["put", "last"]].map(([side, field]) =>
    columns.findIndex((column) => column[0] === side && column[1] === field),
  );
  const cursor = { strike: NaN, stop: 1 };
  const rowOf = (strike) => rows.findIndex((_, row) => value(row, "strike") === strike);
  let framed = null;
  const point = (scrolled = false) => {
    framed?.removeAttribute("aria-current");
    framed = null;
    if (document.activeElement !== scroll || !rows.length) return;
    let row = rowOf(cursor.strike);
    if (row < 0) row = Math.max(rows.findIndex((_, i) => value(i, "atm")), 0);
    cursor.strike = value(row, "strike");
    framed = rows[row][stops[cursor.stop]].el;
    framed.setAttribute("aria-current", "true");
    if (scrolled) framed.scrollIntoView({ block: "nearest", inline: "nearest" });
  };
  // A mouse that is pressed gives the focus too: then nothing may move under it.
  scroll.addEventListener("focus", () => scroll.matches(":focus-visible") && point(true));
  scroll.addEventListener("blur", () => point());
  scroll.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    const side = { Home: -1, End: 1 }[event.key];
    if (!rows.length || !(step || side || event.key === "Enter")) return;
    event.preventDefault();
    event.stopPropagation();
    if (!framed) point();
    const row = rowOf(cursor.strike);
    if (step) cursor.strike = value(Math.min(Math.max(row + step, 0), rows.length - 1), "strike");
    if (side) cursor.stop = Math.min(Math.max(cursor.stop + side, 0), stops.length - 1);
    if (event.key !== "Enter") point(true);
    else if (!event.repeat) pick(row, stops[cursor.stop]);
  });
  expiry.addEventListener("change", () => model.send({ expiry: expiry.value || null }));
  more.addEventListener("click", () => {
    more.setAttribute("aria-pressed", String(el.classList.toggle("bt-greeks")));
    draw();
    scroll.scrollLeft = (scroll.scrollWidth - scroll.clientWidth) / 2; // the strikes stay in view
  });

  // One message sets rows and words; draw once, after both have changed.
  let due = false;
  const later = () => {
    if (due) return;
    due = true;
    queueMicrotask(() => {
      due = false;
      draw();
    });
  };
  model.on("change:data", later);
  model.on("change:meta", later);
  const resized = new ResizeObserver(([now]) => {
    width = now.contentRect.width;
    later();
  });
  resized.observe(el);
  return () => {
    model.off("change:data", later);
    model.off("change:meta", later);
    resized.disconnect();
  };
}

export default { render };
