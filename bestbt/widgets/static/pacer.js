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
  },
};
