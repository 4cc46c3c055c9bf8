// What lies over a pane's chart: the crosshair, tags on the price scale, lines and marks with
// their labels; and what the pointer does there: a drag moves the time axis, the wheel zooms it,
// a click is told to the kernel. None of it waits for the kernel.
//
// The panes of a view share one scale of time, and its model in the browser carries the
// crosshair from the pane under the pointer to the others.

const CLICK = 230; // ms in which a second click makes it a double one
const DRAG = 4; // px a button may move and still click
const SAVE = 50; // ms between two messages to the kernel while the axis moves
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

function element(parent, name) {
  const made = document.createElement("div");
  made.className = name;
  parent.append(made);
  return made;
}

// Show these, each `{ name, style, text, title }`. Elements are kept and changed where they differ:
// to make them anew at every update would cost the page more than the chart they lie on.
function show(parent, wanted) {
  while (parent.children.length > wanted.length) parent.lastChild.remove();
  wanted.forEach((one, i) => {
    const made = parent.children[i] ?? element(parent, "");
    const was = made.shown_ ?? {};
    if (one.name !== was.name) made.className = one.name;
    if (one.style !== was.style) made.style.cssText = one.style;
    if (one.text !== was.text) made.textContent = one.text ?? "";
    if (one.title !== was.title) made.title = one.title ?? "";
    made.shown_ = one;
  });
}

function before(list, value) {
  let lo = 0;
  let hi = list.length;
  while (lo < hi) {
    const middle = (lo + hi) >> 1;
    if (list[middle] <= value) lo = middle + 1;
    else hi = middle;
  }
  return lo - 1;
}

function write(el, text) {
  if (el.textContent !== text) el.textContent = text;
}

const two = (n) => String(n).padStart(2, "0");

// Seconds are those of the exchange's own clock, so its time zone needs no table here.
function timeOf(clock, bar) {
  const part = before(clock.bars, bar);
  if (part < 0) return "";
  const t = new Date((clock.seconds[part] + (bar - clock.bars[part]) * clock.step) * 1000);
  const day = `${two(t.getUTCDate())} ${MONTHS[t.getUTCMonth()]} ${t.getUTCFullYear()}`;
  const seconds = clock.step < 60 ? `:${two(t.getUTCSeconds())}` : "";
  return `${day} ${two(t.getUTCHours())}:${two(t.getUTCMinutes())}${seconds}`;
}

const formats = {}; // to make one takes longer than to use it a thousand times
function written(language, places) {
  formats[language + places] ??= new Intl.NumberFormat(language, {
    minimumFractionDigits: places,
    maximumFractionDigits: places,
  });
  return formats[language + places];
}

function numberOf(currency, value) {
  const places = currency ? 0 : 2;
  const rounded = Number(value.toFixed(places));
  const digits = written(currency === "₹" ? "en-IN" : "en-US", places).format(Math.abs(rounded));
  return (rounded < 0 ? "−" : "") + currency + digits;
}

// Move labels apart, as little as may be, within the pane; the first given stay where they are.
function spread(places, height, lowest, highest) {
  const order = places.map((_, i) => i).sort((a, b) => places[a] - places[b]);
  const placed = [...places];
  let floor = lowest;
  for (const i of order) {
    placed[i] = Math.max(placed[i], floor);
    floor = placed[i] + height;
  }
  let ceiling = highest;
  for (const i of order.reverse()) {
    placed[i] = Math.min(placed[i], ceiling - height);
    ceiling = placed[i];
  }
  return placed;
}

function render({ model, el }) {
  el.classList.add("bt-pointer");
  const fixed = element(el, "bt-fixed");
  const vertical = element(el, "bt-cross-x");
  const horizontal = element(el, "bt-cross-y");
  const value = element(el, "bt-tag bt-cross-value");
  const time = element(el, "bt-tag bt-cross-time");
  const title = element(el, "bt-pane-title");
  const named = element(title, "bt-pane-name");
  const readout = element(title, "bt-readout");
  const listening = [];
  let X, Y, pane, figure, sized, drag, rows, saving, clicking, waiting, measured;
  let inside = null; // height in this pane at which the pointer is
  let pointed = null; // bar at which it is in any pane

  const on = (target, events, work) => {
    target.on(events, work);
    listening.push(() => target.off(events, work));
  };
  const hear = (target, event, work, options) => {
    target.addEventListener(event, work, options);
    listening.push(() => target.removeEventListener(event, work, options));
  };

  // Of the figure itself, for what it leaves to its axes is its own affair. Measured once for each
  // size: to ask the page while it is being changed has it laid out at once.
  function plot() {
    if (measured) return measured;
    const box = el.getBoundingClientRect();
    const area = figure ? figure.getBoundingClientRect() : { left: 0, top: 0, width: 0, height: 0 };
    const { width, height } = area;
    const found = { left: area.left - box.left, top: area.top - box.top, width, height, all: box.width };
    if (width > 0 && height > 0) measured = found;
    return found;
  }
  const toX = (p, bar) => p.left + ((bar - X.get("min")) / (X.get("max") - X.get("min"))) * p.width;
  const toBar = (p, x) => X.get("min") + ((x - p.left) / p.width) * (X.get("max") - X.get("min"));
  const toY = (p, v) => p.top + ((Y.get("max") - v) / (Y.get("max") - Y.get("min"))) * p.height;
  const toValue = (p, y) => Y.get("max") - ((y - p.top) / p.height) * (Y.get("max") - Y.get("min"));

  // Drawing

  function draw() {
    waiting = undefined;
    if (!X || !pane || !el.isConnected) return;
    if (!figure) {
      figure = pane.querySelector(".plotarea_events");
      if (!figure) return redraw(); // the chart beside it is still being made
      sized.observe(figure);
    }
    const p = plot();
    if (p.width <= 0 || p.height <= 0) return;
    show(fixed, [...marksIn(p), ...tagsIn(p)]);
    if (pointed !== null) cross(pointed, inside === null ? null : el);
  }
  const redraw = () => {
    if (waiting === undefined) waiting = requestAnimationFrame(draw);
  };

  function tagsIn(p) {
    const tags = model.get("tags").filter((tag) => Number.isFinite(tag.price));
    const bottom = p.top + p.height;
    const heights = tags.map((tag) => toY(p, tag.price));
    const labels = spread(heights.map((y) => y - 8), 16, p.top, bottom);
    return tags.flatMap((tag, i) => {
      const outside = heights[i] < p.top ? "↑ " : heights[i] > bottom ? "↓ " : "";
      const kind = `bt-is-${tag.kind}`;
      const shown = [];
      if (!outside) {
        const style = `left:${p.left}px;top:${heights[i]}px;width:${p.width}px`;
        shown.push({ name: `bt-line ${kind}`, style });
      }
      shown.push({
        name: `bt-tag bt-level ${kind}`,
        style: `left:${p.left + p.width}px;top:${labels[i]}px`,
        text: numberOf(model.get("currency"), tag.price),
      });
      if (outside + tag.text) {
        const style = `right:${p.all - p.left - p.width}px;top:${labels[i]}px`;
        shown.push({ name: `bt-said ${kind}`, style, text: outside + tag.text });
      }
      return shown;
    });
  }

  function marksIn(p) {
    const shown = [];
    let free = -Infinity;
    for (const mark of model.get("marks")) {
      const x = toX(p, mark.bar);
      if (x < p.left || x > p.left + p.width) continue;
      if (mark.kind === "stand") {
        const style = `left:${x}px;top:${p.top}px;height:${p.height}px`;
        shown.push({ name: "bt-stand", style });
      } else if (x >= free) {
        shown.push({
          name: `bt-expiry bt-is-${mark.kind}`,
          style: `left:${x}px;top:${p.top + p.height}px`,
          text: mark.kind === "monthly" ? "M" : "W",
          title: mark.text,
        });
        free = x + 14;
      }
    }
    return shown;
  }

  function cross(bar, source) {
    pointed = bar;
    const p = plot();
    const x = bar === null ? -1 : toX(p, bar);
    const shown = x >= p.left && x <= p.left + p.width;
    vertical.hidden = time.hidden = !shown;
    if (source !== el) inside = null;
    horizontal.hidden = value.hidden = inside === null;
    read(shown ? bar : null);
    if (!shown) return;
    vertical.style.cssText = `left:${x}px;top:${p.top}px;height:${p.height}px`;
    time.hidden = !model.get("timed");
    time.textContent = timeOf(model.get("clock"), bar);
    const half = time.offsetWidth / 2;
    const middle = Math.min(Math.max(x, p.left + half), p.left + p.width - half);
    time.style.cssText = `left:${middle}px;top:${p.top + p.height + 3}px`;
    if (inside === null) return;
    horizontal.style.cssText = `left:${p.left}px;top:${inside}px;width:${p.width}px`;
    value.style.cssText = `left:${p.left + p.width}px;top:${inside - 8}px`;
    value.textContent = numberOf(model.get("currency"), toValue(p, inside));
  }

  function read(bar) {
    const names = model.get("columns");
    if (!rows || !rows[0].length || !names.length) return write(readout, "");
    let at = rows[0].length - 1;
    if (bar !== null) {
      at = Math.max(before(rows[0], bar), 0);
      if (at + 1 < rows[0].length && rows[0][at + 1] - bar < bar - rows[0][at]) at += 1;
    }
    const currency = model.get("currency");
    const told = names.map((name, i) => `${name} ${numberOf(currency, rows[i + 1][at])}`.trim());
    write(readout, told.join("  "));
  }

  function unpack() {
    const bytes = model.get("rows");
    const all = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
    const n = all.length / (model.get("columns").length + 1);
    rows = [];
    for (let i = 0; i * n < all.length; i += 1) rows.push(all.subarray(i * n, (i + 1) * n));
    if (!rows.length) rows = undefined;
    read(null);
  }

  // What the pointer does

  function move(lo, hi) {
    const [first, last] = model.get("extent");
    const span = Math.min(Math.max(hi - lo, 10), last - first, model.get("widest"));
    const from = Math.min(Math.max(lo + (hi - lo - span) / 2, first), last - span);
    if (from === X.get("min") && from + span === X.get("max")) return false;
    X.set({ min: from, max: from + span });
    if (saving === undefined) {
      saving = setTimeout(() => {
        saving = undefined;
        X.save_changes();
      }, SAVE);
    }
    return true;
  }

  function point(event) {
    const box = el.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }
  const within = (p, at) =>
    at.x >= p.left && at.x <= p.left + p.width && at.y >= p.top && at.y <= p.top + p.height;

  function barAt(p, x) {
    const [first, last] = model.get("extent");
    return Math.min(Math.max(Math.round(toBar(p, x)), Math.ceil(first)), Math.floor(last));
  }

  function moved(event) {
    const p = plot();
    const at = point(event);
    if (drag && event.buttons & 1) {
      const by = at.x - drag.x;
      if (!drag.far && Math.abs(by) > DRAG) {
        drag.far = true;
        pane.setPointerCapture(event.pointerId);
        pane.classList.add("bt-dragged");
      }
      if (drag.far) {
        const bars = (by / p.width) * (drag.hi - drag.lo);
        move(drag.lo - bars, drag.hi - bars);
      }
    }
    inside = within(p, at) ? at.y : null;
    X.trigger("bt:cross", inside === null ? null : barAt(p, at.x), el);
  }

  function listen() {
    hear(pane, "pointermove", moved);
    hear(pane, "pointerleave", () => {
      inside = null;
      X.trigger("bt:cross", null, el);
    });
    hear(pane, "pointerdown", (event) => {
      const at = point(event);
      if (event.button !== 0 || !within(plot(), at)) return;
      drag = { x: at.x, lo: X.get("min"), hi: X.get("max"), far: false };
    });
    hear(pane, "pointerup", (event) => {
      const p = plot();
      const at = point(event);
      pane.classList.remove("bt-dragged");
      if (drag && !drag.far && within(p, at) && clicking === undefined) {
        const bar = barAt(p, at.x);
        clicking = setTimeout(() => {
          clicking = undefined;
          model.send({ click: bar });
        }, CLICK);
      }
      drag = undefined;
    });
    hear(pane, "dblclick", (event) => {
      if (!within(plot(), point(event))) return;
      clearTimeout(clicking);
      clicking = undefined;
      model.send({ whole: true });
    });
    hear(
      pane,
      "wheel",
      (event) => {
        const p = plot();
        const at = point(event);
        if (event.ctrlKey || !within(p, at)) return; // the browser's own zoom
        const unit = event.deltaMode === 1 ? 30 : 1;
        const [lo, hi] = [X.get("min"), X.get("max")];
        let done;
        if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
          const by = (((event.deltaX || event.deltaY) * unit) / p.width) * (hi - lo);
          done = move(lo + by, hi + by);
        } else {
          const middle = toBar(p, at.x);
          const factor = Math.exp(event.deltaY * unit * 0.0015);
          done = move(middle - (middle - lo) * factor, middle + (hi - middle) * factor);
        }
        // where the axis can go no further the page scrolls on
        if (done) event.preventDefault();
      },
      { passive: false },
    );
  }

  const referred = (name) => model.widget_manager.get_model(model.get(name).slice("IPY_MODEL_".length));
  const name = () => {
    write(named, model.get("title"));
  };
  name();
  vertical.hidden = horizontal.hidden = value.hidden = time.hidden = true;
  let gone = false;
  Promise.all([referred("x"), referred("y")]).then(([x, y]) => {
    if (gone) return;
    [X, Y] = [x, y];
    on(X, "change", redraw);
    on(Y, "change", redraw);
    on(X, "bt:cross", cross);
    on(model, "change:tags change:marks", redraw);
    on(model, "change:rows", unpack);
    on(model, "change:title", name);
    unpack();
    // it is told its size when it is put into the page, and whenever that changes
    sized = new ResizeObserver(() => {
      measured = undefined;
      const found = el.closest(".bt-pane");
      if (found && !pane) {
        pane = found;
        listen();
      }
      redraw();
    });
    sized.observe(el);
    listening.push(() => sized.disconnect());
  });
  return () => {
    gone = true;
    clearTimeout(clicking);
    cancelAnimationFrame(waiting);
    for (const end of listening) end();
  };
}

export default { render };
