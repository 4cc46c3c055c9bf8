const LOST = "Error displaying widget: model not found";

// After a page was loaded JupyterLab looks for a widget for two seconds, and not once more before it
// gives up: when the kernel's answer comes just then, the whole view is there and its cell says that
// it is not. Then it is put into its place. Only a place that must be its own is taken.
const putBack = async (model) => {
  const numbered = (node) => {
    const prompt = node.closest(".jp-Cell")?.querySelector(".jp-InputPrompt")?.textContent;
    return prompt === `[${model.get("cell")}]:`;
  };
  const manager = model.widget_manager;
  const view = await manager.get_model(model.get("view")).catch(() => null);
  if (!view || Object.keys(view.views ?? {}).length) return;
  const places = [...document.querySelectorAll(".jp-OutputArea-output.jupyter-widgets")].filter(
    (node) => node.textContent === LOST && numbered(node),
  );
  if (places.length !== 1) return;
  const { luminoWidget } = await manager.create_view(view);
  places[0].textContent = "";
  luminoWidget.constructor.attach(luminoWidget, places[0]);
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
