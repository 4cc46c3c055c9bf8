const SHOWN = "application/vnd.jupyter.widget-view+json";
const LOST = "Error displaying widget: model not found";

// After a page was loaded JupyterLab looks for a widget for two seconds, and not once more before it
// gives up: when the kernel's answer comes just then, the whole view is there and its cell says that
// it is not. Then the cell's output is set again, as it is, and so is drawn anew.
const putBack = async (model) => {
  const said = [...document.querySelectorAll(".jp-OutputArea-output.jupyter-widgets")];
  if (!said.some((node) => node.textContent === LOST)) return;
  const id = model.get("view");
  const view = await model.widget_manager.get_model(id).catch(() => null);
  const cells = model.widget_manager.context?.model?.cells; // of JupyterLab's notebooks
  if (!cells || !view || Object.keys(view.views ?? {}).length) return;
  for (let n = 0; n < cells.length; n++) {
    const { outputs } = cells.get(n);
    for (let i = 0; i < (outputs?.length ?? 0); i++) {
      const output = outputs.get(i);
      if (output.data[SHOWN]?.model_id === id) outputs.set(i, output.toJSON());
    }
  }
};

export default {
  initialize({ model }) {
    // A parcel has the updates of many widgets: each is handed to its model as if it had come by
    // itself, but all before the next picture.
    model.on("msg:custom", ({ updates }, buffers) => {
      let at = 0;
      for (const [id, data, many] of updates) {
        const message = { content: { data }, buffers: buffers.slice(at, (at += many)) };
        model.widget_manager.get_model(id).then(
          (found) => found._handle_comm_msg(message),
          () => {}, // closed in the meantime
        );
      }
    });
    // Answer after the frame in which the update was painted, not when it arrived; and only every
    // other: an answer has JupyterLab show twice what the kernel does, at a fourth of an update.
    model.on("change:seq", () => {
      if (model.get("seq") % 2) return;
      requestAnimationFrame(() =>
        setTimeout(() => {
          model.set("ack", model.get("seq"));
          model.save_changes();
        }, 0),
      );
    });
    model.send({ listens: true });
    for (const seconds of [1, 3, 6, 10]) setTimeout(() => putBack(model), 1000 * seconds);
  },
};
