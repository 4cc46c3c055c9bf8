// Keys while the view has the focus. The notebook's own shortcuts must not see them: in command
// mode `x` would cut the cell and `b` add one below.
const TYPED = "input, textarea, select, [contenteditable=true]";

function render({ model, el }) {
  el.classList.add("bt-keys");
  let view = null;

  const press = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest(TYPED)) {
      if (event.key === "Escape") view.focus({ preventScroll: true });
      return;
    }
    const name = (event.shiftKey && event.key.length > 1 ? "Shift+" : "") + event.key;
    if (event.target.closest("button") && (event.key === " " || event.key === "Enter")) return;
    if (!model.get("wanted").includes(name)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat && !name.includes("Arrow")) return; // only steps are added up
    if (name === "g") {
      view.querySelector(".bt-goto input")?.focus();
      return;
    }
    model.send({ key: name });
  };
  const click = (event) => {
    const typing = document.activeElement?.matches(TYPED) && view.contains(document.activeElement);
    // A button that was pressed with the mouse gives the keys back; with the keyboard it keeps them.
    const kept = event.target.closest(event.detail === 0 ? `${TYPED}, button` : TYPED);
    if (!typing && !kept) view.focus({ preventScroll: true });
  };

  // The view is in the page a moment after this.
  const attach = () => {
    view = el.closest(".bt-view");
    if (view === null) return;
    view.tabIndex = 0;
    view.setAttribute("data-lm-suppress-shortcuts", "true");
    view.setAttribute("data-jp-suppress-context-menu", "true");
    view.addEventListener("keydown", press, true); // before an input keeps it to itself
    view.addEventListener("click", click);
  };
  const timer = setInterval(() => {
    attach();
    if (view !== null) clearInterval(timer);
  }, 50);

  return () => {
    clearInterval(timer);
    view?.removeEventListener("keydown", press, true);
    view?.removeEventListener("click", click);
  };
}

export default { render };
